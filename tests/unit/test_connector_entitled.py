"""Event types and agreements that settings name are held to the catalogue that the connector stands in."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from sound_catalogue import BIRTH, BIRTHS, QUAKE, QUAKES, SOUND, write

from lintas.cli.connector_kinds import check
from schemas.load import load
from schemas.validate import validate

HOOK = {"url": "https://r.example/", "origin": "bus.example", "secret_files": ["/run/secrets/s"]}
CAP = {"folder": "/srv/alerts"}
TABLE = {"schema": "public", "table": "quakes"}
TYPO = QUAKE.replace("measured", "measurd")
UNKNOWN = f"there is no event type {TYPO}; did you mean {QUAKE}?"


def told(folder: Path, system: str, plugin: str, config: dict[str, Any], **files: str) -> list[str]:
    connector = yaml.safe_dump({"connector": "one", "system": system, "plugin": plugin, "config": config})
    catalogue, unread = load(write(folder, {**SOUND, **files, "connectors/one.yaml": connector}))
    assert not unread
    found = validate(catalogue, today=dt.date(2026, 11, 24), check_connector=check)
    return [problem.message for problem in found]


def mapping(event_type: str) -> dict[str, Any]:
    return {"event_type": event_type, "data": {"place": "place"}}


@pytest.mark.parametrize(
    ("plugin", "system", "config", "problem"),
    [
        ("webhook", "bps.vital", HOOK | {"event_types": [QUAKE, TYPO]}, f"event_types.1: {UNKNOWN}"),
        (
            "webhook",
            "bmkg.inatews",
            HOOK | {"event_types": [QUAKE]},
            f"event_types.0: no agreement gives bmkg.inatews {QUAKE}",
        ),
        (
            "files",
            "bmkg.inatews",
            {"folder": "/srv/quakes", "mapping": mapping(TYPO)},
            f"mapping.event_type: {UNKNOWN}",
        ),
        (
            "files",
            "bmkg.inatews",
            {"folder": "/srv/quakes", "mapping": mapping(BIRTH)},
            f"mapping.event_type: bmkg.inatews is not among the publishers of {BIRTH}",
        ),
        ("cap-files", "bmkg.inatews", CAP | {"event_type": TYPO}, f"event_type: {UNKNOWN}"),
        (
            "postgres-replication",
            "bmkg.inatews",
            {"dsn_file": "/etc/absent.dsn", "events": [{"table": "public.quakes", **mapping(TYPO)}]},
            f"events.0.event_type: {UNKNOWN}",
        ),
        (
            "postgres-sink",
            "bps.vital",
            {"dsn_file": "/etc/absent.dsn", "agreements": {"bps.quaks": {}}},
            "agreements.bps.quaks: no agreement bps.quaks gives its system anything; did you mean bps.quakes?",
        ),
    ],
)
def test_a_name_that_the_catalogue_does_not_have_or_give_is_refused(
    tmp_path: Path, plugin: str, system: str, config: dict[str, Any], problem: str
) -> None:
    assert problem in told(tmp_path, system, plugin, config)


def test_names_that_the_catalogue_gives_are_right_also_while_their_agreement_is_suspended(tmp_path: Path) -> None:
    config = HOOK | {"event_types": [QUAKE, BIRTH]}
    suspended = SOUND[QUAKES].replace("release:", "suspended: true\nrelease:")
    assert told(tmp_path, "bps.vital", "webhook", config, **{QUAKES: suspended, BIRTHS: SOUND[BIRTHS]}) == []
