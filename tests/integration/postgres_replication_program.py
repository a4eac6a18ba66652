"""The replication source as a process: DSN file, slot and bus file are its arguments; it runs until it is killed."""

import sys
from pathlib import Path
from typing import Any, Final

from postgres_runs import EVENT_TYPE, RUNNING, FileBus, context, run

from connectors.plugins.postgres.replication import ReplicationConfig, ReplicationSource

EVENTS: Final = [
    {"table": "public.things", "event_type": EVENT_TYPE, "data": {"who": "who", "n": "n", "weight": "weight"}},
]


def source(dsn_file: object, slot: str, **settings: Any) -> ReplicationSource:
    """A source of inserts into ``things``, with a slot of that name."""
    given = {"dsn_file": dsn_file, "slot": slot, "events": EVENTS, **settings}
    return ReplicationSource(ReplicationConfig.model_validate(given), context())


if __name__ == "__main__":
    print(RUNNING, flush=True)  # noqa: T201  read by whoever kills it
    run(source(sys.argv[1], sys.argv[2], rows=200), FileBus(Path(sys.argv[3])), lambda: False, seconds=600)
