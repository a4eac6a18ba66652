"""Fixtures of tests that change what a whole bus holds: a bus that is theirs alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_bus import running_bus
from lane_promises import Workers
from postgres_server import Server, running

from lintas.local.bus import LocalBus
from lintas.settings import Settings


@pytest.fixture(scope="session")
def local_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """A running bus whose catalogue tests may replace and whose parts they may kill."""
    local = LocalBus(tmp_path_factory.mktemp("catalogue-bus"), fast_start=True)
    local.start(outlive=False)
    yield local
    local.stop()


@pytest.fixture(scope="session")
def catalogue_bus(local_bus: LocalBus) -> Settings:
    """The settings of ``local_bus``."""
    return Settings(home=local_bus.home.path)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL for tests of connectors, each with a database of its own; tests may crash it."""
    with running(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A bus of its own for each test: what a test breaks stays broken."""
    with running_bus(tmp_path) as settings:
        yield settings


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(settings, tmp_path)
    yield started
    for worker in started.all:
        worker.kill()
