"""What tests of sources of messages need: a context without a bus, and the source driven as a runtime does."""

import functools
import json
import logging
from pathlib import Path
from typing import Any

from lintas_client import Connection
from lintas_client.registry import EventType

from connectors.runtime.context import Context
from connectors.runtime.contract import Portion, Source
from schemas.load import Catalogue, load
from schemas.registered_form import registered_form

CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue"


class KnownTypes:
    """A registry that knows the example deployment's event types."""

    async def event_type(self, name: str) -> EventType:
        return _event_type(name)


@functools.cache
def _catalogue() -> Catalogue:
    found, problems = load(CATALOGUE)
    assert problems == []
    return found


@functools.cache
def _event_type(name: str) -> EventType:
    catalogue = _catalogue()
    topic = f"events.{name}"
    return EventType.of_schema(7, registered_form(catalogue.event_types[name], topic, catalogue.schemas[name]))


def context(system: str) -> Context:
    """A connector's context as the runtime would make it."""
    registry: Any = KnownTypes()
    connection = Connection(
        bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system=system, password="not needed here"
    )
    return Context("test", connection, registry, logging.getLogger("connector.test"))


async def next_portion(source: Source) -> Portion:
    """Poll until there is something, for at most a hundred times."""
    for _ in range(100):
        if (portion := await source.poll()) is not None:
            return portion
    raise AssertionError("the source gives nothing")


def problems_in(path: Path) -> list[dict[str, str]]:
    """What a report beside a refused file lists."""
    found: list[dict[str, str]] = json.loads(path.read_text())["problems"]
    return found
