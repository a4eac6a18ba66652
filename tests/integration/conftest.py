"""Fixtures of tests that change what a whole bus holds: a bus that is theirs alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_bus import catalogue, put_in_force
from lane_promises import Workers

from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.provision import ensure_bus


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


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A bus of its own for each test: what a test breaks stays broken."""
    bus = LocalBus(tmp_path / "bus", fast_start=True)
    settings = bus.start(outlive=False)
    ensure_bus(settings)
    put_in_force(settings, catalogue(tmp_path / "catalogue"))
    yield settings
    bus.stop()


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(settings, tmp_path)
    yield started
    for worker in started.all:
        worker.kill()
