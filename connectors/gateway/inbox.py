"""A system's inbox over HTTP: deliveries as CloudEvents in JSON, and cursors that acknowledge them."""

import base64
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from lintas_client import Delivery
from lintas_client.delivery import Record, delivery
from lintas_client.wire.errors import MalformedEvent

from connectors.gateway.bus import Bus, Reader
from connectors.gateway.refusal import Refused

MOST_BYTES: Final = 4_194_304  # of records in one answer; the first is given whatever its size


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Deliveries, and the positions behind each of them and behind the last."""

    events: Sequence[dict[str, Any]] = dataclasses.field(repr=False)
    behind: Sequence[Mapping[int, int]]
    positions: Mapping[int, int]


class Inbox:
    """One system's inbox, for one task."""

    def __init__(self, bus: Bus, system: str, reader: Reader) -> None:
        self._bus, self._system, self._reader = bus, system, reader
        self._cursors = bus.cursors(system)

    async def begin(self, cursor: str | None) -> dict[int, int]:
        """The positions to read from: a cursor's, which is acknowledged, or else the acknowledged ones.

        Raises:
            Refused: 400: the cursor is none; 409: see ``Reader.commit``.
        """
        return await self._reader.committed() if cursor is None else await self.acknowledge(cursor)

    async def acknowledge(self, cursor: str) -> dict[int, int]:
        """Keep a cursor's positions at the bus, unless later ones are kept already; the cursor's positions.

        Raises:
            Refused: see ``begin``.
        """
        positions = self._cursors.read(cursor)
        kept = await self._reader.committed()
        later = {place: offset for place, offset in positions.items() if offset > kept.get(place, -1)}
        if later:
            await self._reader.commit(later)
        return positions

    async def read(self, positions: Mapping[int, int], limit: int, seconds: float) -> Page:
        """Deliveries from the positions on, as soon as there are any.

        Raises:
            Refused: 503: the first record cannot be read.
        """
        found = await self._reader.read(positions, limit, seconds)
        events: list[dict[str, Any]] = []
        behind: list[dict[int, int]] = []
        at = dict(positions)
        size = 0
        for record in found:
            size += len(record.value or b"")
            if events and size > MOST_BYTES:
                break
            after = {**at, record.partition: record.offset + 1}
            try:
                events.append(cloud_event(await delivery(record, self._bus)))
            except (MalformedEvent, LookupError):
                if events:
                    break
                raise self._undecodable(record, after) from None
            at = after
            behind.append(after)
        return Page(events, behind, at)

    def cursor(self, positions: Mapping[int, int]) -> str:
        """The cursor of positions."""
        return self._cursors.write(positions)

    def _undecodable(self, record: Record, after: Mapping[int, int]) -> Refused:
        return Refused(
            "undecodable-delivery",
            f"The record at {record.topic} [{record.partition}] offset {record.offset} cannot be read; "
            "it was not skipped.",
            cause="Somebody wrote to the inbox who is not the bus, or the registry lost a schema.",
            remedy="Show this to the operator of the bus. To go on without it, use `cursor_behind` as the cursor.",
            cursor_behind=self.cursor(after),
        )


@contextlib.asynccontextmanager
async def opened(bus: Bus, system: str) -> AsyncIterator[Inbox]:
    """The inbox of a system, until the task has done with it."""
    reader = await bus.reader(system)
    well = False
    try:
        yield Inbox(bus, system, reader)
        well = True
    except Refused:
        well = True
        raise
    finally:
        await bus.give_back(system, reader, well=well)


def cloud_event(found: Delivery) -> dict[str, Any]:
    """A delivery in the JSON event format; its salt, which opens the commitment in the audit log, as ``lintassalt``."""
    event: dict[str, Any] = {name: value for name, value in found.event.items() if name != "dataschema"}
    if found.salt is not None:
        event["lintassalt"] = base64.b64encode(found.salt).decode()
    if found.data is not None:
        event |= {"datacontenttype": "application/json", "data": found.natural}
    return event
