"""Rows made into events by the mapping, or into entries of the list of rejected rows."""

from collections.abc import Iterable, Sequence

from lintas_client.registry import Registry

from connectors.mapping import BadMapping, FieldProblem, Mapper, Unmappable
from connectors.plugins.files.rejected import Entry
from connectors.plugins.files.rows import Row
from connectors.plugins.files.settings import Files
from connectors.runtime.contract import Outgoing, Refusal
from lintas.errors import ConnectorFailed


async def fitting_mapper(settings: Files, registry: Registry, connector: str) -> Mapper:
    """The mapping, checked against the event type as it is registered.

    Raises:
        ConnectorFailed: it does not fit.
    """
    event_type = await registry.event_type(settings.mapping.event_type)
    try:
        return Mapper(settings.mapping, event_type.codec)
    except BadMapping as error:
        raise ConnectorFailed(
            connector=connector,
            reason=f"its mapping does not fit {event_type.name}: {error}",
            remedy="mend the mapping; the paths name its parts.",
        ) from None


class Making:
    """The rows of one portion: events, and who each of them was.

    Attributes:
        events: made of the rows, in their order.
        rejected: the rows that no event could be made of.
    """

    def __init__(self, mapper: Mapper, mark: str, numbered: str, rows: Iterable[Row]) -> None:
        """``mark`` is what origins call the file; ``numbered`` begins the ids that the mapping does not give."""
        self._mapper = mapper
        self._rows: dict[int, Row] = {}  # by the identity of their events
        self.events: list[Outgoing] = []
        self.rejected: list[Entry] = []
        for row in rows:
            self._make(row, f"{mark}:{row.line}", f"{numbered}-{row.after.records}")

    def refused(self, refusals: Sequence[Refusal]) -> list[Entry]:
        """The entries of rows whose events the bus would not take."""
        entries = []
        for refusal in refusals:
            row = self._rows[id(refusal.event)]
            problems = [self._problem(reason) for reason in refusal.reasons]
            entries.append(Entry(row.line, row.after.records, problems, row.record))
        return entries

    def _make(self, row: Row, origin: str, number: str) -> None:
        if row.record is None:
            assert row.problem is not None, "a row without values says why"
            self.rejected.append(Entry(row.line, row.after.records, [row.problem], None))
            return
        try:
            mapped = self._mapper.event(row.record)
        except Unmappable as error:
            self.rejected.append(Entry(row.line, row.after.records, error.problems, row.record))
            return
        if mapped is None:
            return
        event = Outgoing(
            mapped.event_type,
            mapped.data,
            mapped.id or number,
            subject=mapped.subject,
            time=mapped.time,
            key=mapped.key,
            origin=origin,
        )
        self._rows[id(event)] = row
        self.events.append(event)

    def _problem(self, reason: str) -> FieldProblem:
        """A reason as the bus gives it: the field, a colon, and what is wrong."""
        field, colon, message = reason.partition(": ")
        if not colon or " " in field:
            return FieldProblem("", "", "schema", reason)
        return FieldProblem(field, " ".join(self._mapper.columns_of(field)), "schema", message)
