"""Fixtures of all tests: a clean environment, and one real bus for the whole session."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from lintas.local.bus import LocalBus
from lintas.settings import Settings
from schemas.load import Catalogue
from schemas.model import Agency, Agreement, EventType

# How long an example takes says more about the machine than about the code.
settings.register_profile("lintas", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lintas")


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


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Real data, written for nobody's tests."""
    folder = Path(os.environ.get("LINTAS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no public data in {folder} (LINTAS_DATA names the folder)")
    return folder


@pytest.fixture(scope="session")
def small_catalogue() -> Callable[[str], Catalogue]:
    """Builds a catalogue of two agencies, two event types and two agreements; ``tag`` is part of every name."""
    return _small_catalogue


def _small_catalogue(tag: str) -> Catalogue:
    office, users = f"office-{tag}", f"users-{tag}"
    agencies: list[dict[str, Any]] = [
        {
            "agency": office,
            "name": "An office",
            "domain": f"id.go.{office}",
            "systems": {"desk": {"name": "The desk", "kind": "government"}},
        },
        {
            "agency": users,
            "name": "Its users",
            "domain": f"id.co.{users}",
            "systems": {
                "statistics": {"name": "Counts", "kind": "government", "inbox_partitions": 2},
                "shop": {"name": "Sells", "kind": "business", "inbox_partitions": 2},
            },
        },
    ]
    event_types: list[dict[str, Any]] = [
        {
            "event_type": f"id.go.{office}.thing.{verb}.v1",
            "owner": office,
            "title": f"A thing was {verb}",
            "summary": f"Somebody has {verb} a thing.",
            "publishers": [f"{office}.desk"],
            "classification": "internal",
            "subject": "number",
            "partitions": 3,
        }
        for verb in ("made", "lost")
    ]
    agreements: list[dict[str, Any]] = [
        {
            "agreement": f"{users}.{system}.{verb}",
            "provider": office,
            "consumer": f"{users}.{system}",
            "event_type": f"id.go.{office}.thing.{verb}.v1",
            "legal_basis": "Perpres 39/2019",
            "purpose": "to show how this works",
            "valid": {"from": "2026-01-01", "until": "2036-12-31"},
            "release": {"number": "keep"},
        }
        for system, verb in (("statistics", "made"), ("shop", "lost"))
    ]
    schema = {
        "type": "record",
        "name": "Thing",
        "namespace": "id.go.office",
        "fields": [{"name": "number", "type": "string"}, {"name": "colour", "type": "string"}],
    }
    return Catalogue(
        folder=Path(),
        agencies={str(agency["agency"]): Agency.model_validate(agency) for agency in agencies},
        event_types={str(one["event_type"]): EventType.model_validate(one) for one in event_types},
        schemas={str(one["event_type"]): schema for one in event_types},
        agreements={str(one["agreement"]): Agreement.model_validate(one) for one in agreements},
        places={},
    )


@pytest.hookimpl(trylast=True)  # after they were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests take minutes come first, so that no process is left with one at the end."""
    longest_first = ("chaos", "integration", "acceptance")
    items.sort(key=lambda item: (*longest_first, item.path.parent.name).index(item.path.parent.name))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped: a test that could not run has not shown what it is there to show."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    if skipped := reporter.stats.get("skipped", []):
        reporter.write_line(f"{len(skipped)} test(s) were skipped, and this is CI: see the reasons", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
