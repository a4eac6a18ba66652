"""A bundle made into events by a declared mapping: all of them, or every reason why not."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lintas_client import Problem
from lintas_client.registry import Registry
from lintas_client.wire import json_data
from lintas_client.wire.codec import Codec
from lintas_client.wire.errors import MalformedData

from connectors.intake.message import MalformedMessage
from connectors.mapping import BadMapping, FieldProblem, Mapped, Mapper, Unmappable
from connectors.plugins.fhir.bundle import Bundle, Entry, read
from connectors.plugins.fhir.mapping import BadBundleMapping, BundleMapping, ResourceMapping
from connectors.plugins.fhir.path import Several
from connectors.runtime.contract import Outgoing

_DIGEST_DIGITS: Final = 32
ENTRY: Final = "entry"


@dataclasses.dataclass(frozen=True, slots=True)
class _Made:
    """A mapping and what applies it."""

    mapping: ResourceMapping
    mapper: Mapper
    codec: Codec


class BundleEvents:
    """A mapping that has been checked against the event types that it makes."""

    def __init__(self, made: Sequence[_Made]) -> None:
        """See `of`."""
        self._made = made

    @classmethod
    async def of(cls, mapping: BundleMapping, registry: Registry) -> "BundleEvents":
        """Check a mapping.

        Raises:
            BadBundleMapping: with every problem of every part.
            UnknownEventType, BusUnreachable: the registry does not know an event type, or does not answer.
        """
        made, problems = [], []
        for at, part in enumerate(mapping.resources):
            event_type = await registry.event_type(part.event.event_type)
            try:
                mapper = Mapper(part.event, event_type.codec)
            except BadMapping as error:
                problems += [f"resources.{at}.event.{problem.path}: {problem.message}" for problem in error.problems]
                continue
            unnamed = sorted(mapper.columns - part.values.keys() - {ENTRY})
            problems += [f"resources.{at}.event: there is no value {name}" for name in unnamed]
            made.append(_Made(part, mapper, event_type.codec))
        if problems:
            raise BadBundleMapping("; ".join(problems))
        return cls(made)

    def events(self, message: bytes, origin: str) -> list[Outgoing]:
        """The events of a message.

        Raises:
            MalformedMessage: with every problem of the bundle, or of every resource that should become an event.
        """
        bundle = read(message)
        problems: list[Problem] = []
        events = []
        for entry in bundle.entries:
            for made in self._made:
                if made.mapping.each != entry.kind:
                    continue
                found, event = _event(made, entry, bundle)
                problems += found
                if event is not None:
                    events.append(_outgoing(made, event, entry, origin))
        if problems:
            raise MalformedMessage(problems)
        return events


def _event(made: _Made, entry: Entry, bundle: Bundle) -> tuple[list[Problem], Mapped | None]:
    record: dict[str, Any] = {ENTRY: entry.index}
    problems: list[Problem] = []
    for name, paths in made.mapping.values.items():
        record[name] = None
        for path in paths:
            try:
                record[name] = path(entry.resource, bundle)
            except Several:
                message = "has several values; the mapping must say which one is meant"
                problems.append(Problem(_place(entry, path.text), "several", message))
            if record[name] is not None:
                break
    if problems:
        return problems, None
    try:
        event = made.mapper.event(record)
        found = [] if event is None else _unsound(made, event)
    except Unmappable as error:
        event, found = None, list(error.problems)
    return [_problem(one, made.mapping, entry) for one in found], None if found else event


def _unsound(made: _Made, event: Mapped) -> list[FieldProblem]:
    """What the schema forbids though each field was made: told here, where the way to the value is known."""
    try:
        json_data.from_json(made.codec, json_data.to_json(made.codec, event.data))
    except MalformedData as error:
        return [
            FieldProblem(path, " ".join(made.mapper.columns_of(path)), one.rule, one.message)
            for one in error.problems
            if (path := f"data.{one.path}")
        ]
    return []


def _problem(found: FieldProblem, mapping: ResourceMapping, entry: Entry) -> Problem:
    paths = [path.text for name in found.column.split() for path in mapping.values.get(name, ())]
    place = _place(entry, " or ".join(paths)) if paths else f"entry[{entry.index}].resource"
    return Problem(place, found.rule, f"{found.message} ({found.field} of {mapping.event.event_type})")


def _place(entry: Entry, path: str) -> str:
    return f"entry[{entry.index}].resource.{path}"


def _outgoing(made: _Made, event: Mapped, entry: Entry, origin: str) -> Outgoing:
    return Outgoing(
        event_type=event.event_type,
        data=event.data,
        id=event.id or _digest(event.event_type, json_data.to_json(made.codec, event.data)),
        subject=event.subject,
        time=event.time,
        key=event.key,
        origin=f"{origin} entry[{entry.index}]",
    )


def _digest(event_type: str, data: Mapping[str, Any]) -> str:
    """A name that is always the same for the same payload, and another for what corrects it."""
    written = json.dumps([event_type, data], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:_DIGEST_DIGITS]
