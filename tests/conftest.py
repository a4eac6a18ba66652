"""Fixtures of all tests: a clean environment, and one real bus for the whole session."""

import os
from collections.abc import Iterator

import pytest

from lintas.local.bus import LocalBus
from lintas.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Tests see no LINTAS_* settings of whoever runs them, except where the downloads are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("LINTAS_") and name != "LINTAS_CACHE":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running bus (Kafka, registry, PostgreSQL; no programs), one for the session, ended with it."""
    local = LocalBus(tmp_path_factory.mktemp("bus"), fast_start=True)
    settings = local.start(outlive=False)
    yield settings
    local.stop()
