"""One event side by side: as it was published, and as two consumers received it."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from lintas import names
from schemas.envelope_release import rule_for
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, EventType
from schemas.paths import covers, fields
from schemas.released import deciding_rule
from schemas.rules import ReleaseRule
from schemas.snapshot import PublishedAgreement, Snapshot
from schemas.wire import envelope, framing, json_data
from schemas.wire.codec import Codec
from streams.decisions import Decided, Place, Verdict, delivery_of
from streams.records import InputRecord

TOLD: Final = "id.go.dukcapil.birth.registered.v1"  # everyone knows what a birth is
_PAIR: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """Which event to show, and to whom it was delivered."""

    place: Place
    event_type: str
    verdicts: tuple[Verdict, Verdict]

    def concerns(self, record: InputRecord) -> bool:
        """Whether a record is the event or one of its deliveries."""
        if (record.topic, record.partition, record.offset) == self.place:
            return True
        if not record.topic.startswith(names.INBOX) or names.HEADER_SALT not in dict(record.headers):
            return False
        agreement = _agreement_of(record)
        return any(
            verdict.agreement == agreement and verdict.receipt == delivery_of(record) for verdict in self.verdicts
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """What one consumer found in a field, and by which rule; ``value`` is None if the field was withheld."""

    value: str | None
    rule: str


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One field or attribute of the event; ``received`` in the order of the consumers."""

    field: str
    published: str | None
    received: tuple[Received, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Recipient:
    """One consumer, and why it may have the event."""

    consumer: str
    channel: str
    agreement: str
    legal_basis: str
    purpose: str


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """The event, line by line."""

    event_type: str
    title: str
    place: Place
    recipients: tuple[Recipient, ...]
    lines: tuple[Line, ...]


def choose(
    snapshot: Snapshot, decided: Iterable[Decided], records: Callable[[str], Iterable[InputRecord]]
) -> Chosen | None:
    """The event that tells most: of two deliveries, one released much as it is and the other changed much of it.

    Of events that tell as much the first in which every field is there, if there is one. ``records`` gives what a topic
    holds.
    """
    kept = {name: _count(snapshot, published, kept=True) for name, published in snapshot.agreements.items()}
    changed = {name: _count(snapshot, published, kept=False) for name, published in snapshot.agreements.items()}

    def pair(event: Decided) -> tuple[Verdict, Verdict]:
        delivered = [verdict for verdict in event.verdicts if verdict.outcome == "delivered"]
        first = max(delivered, key=lambda verdict: kept[verdict.agreement])
        rest = [verdict for verdict in delivered if verdict is not first]
        return first, max(rest, key=lambda verdict: changed[verdict.agreement])

    def rank(event: Decided) -> tuple[bool, int, str]:
        one, other = pair(event)
        return event.event_type != TOLD, -(kept[one.agreement] + changed[other.agreement]), event.event_type

    candidates = [
        event for event in decided if sum(verdict.outcome == "delivered" for verdict in event.verdicts) >= _PAIR
    ]
    if not candidates:
        return None
    highest = min(map(rank, candidates))
    best = {event.place: event for event in candidates if rank(event) == highest}
    event_type = snapshot.event_types[highest[2]]
    whole = {
        place
        for record in records(event_type.topic)
        if (place := Place(record.topic, record.partition, record.offset)) in best
        and _is_whole(_payload(event_type.current.schema, record))
    }
    chosen = best[min(whole or best)]
    return Chosen(chosen.place, chosen.event_type, pair(chosen))


def tell(snapshot: Snapshot, chosen: Chosen, records: Sequence[InputRecord]) -> Example | None:
    """The chosen event side by side; None if not all three records were found."""
    event_type = snapshot.event_types[chosen.event_type]
    source = next((record for record in records if record.topic == chosen.place.topic), None)
    deliveries = [
        next((record for record in records if _agreement_of(record) == verdict.agreement), None)
        for verdict in chosen.verdicts
    ]
    if source is None or None in deliveries:
        return None
    agreements = [snapshot.agreements[verdict.agreement] for verdict in chosen.verdicts]
    published = _payload(event_type.current.schema, source)
    received = [
        (agreement.contract, record, _payload(agreement.released.schema, record))
        for agreement, record in zip(agreements, deliveries, strict=True)
        if record is not None
    ]
    lines = [
        *(_attribute_line(attribute, source, received, event_type.contract) for attribute in ENVELOPE_ATTRIBUTES),
        *(_field_line(path, published, received) for path in _leaves(event_type.current.schema)),
    ]
    return Example(
        chosen.event_type,
        event_type.contract.title,
        chosen.place,
        tuple(
            Recipient(
                one.contract.consumer,
                snapshot.channel_of(one.contract),
                one.contract.agreement,
                one.contract.legal_basis,
                one.contract.purpose,
            )
            for one in agreements
        ),
        tuple(lines),
    )


_Received = Sequence[tuple[Agreement, InputRecord, Any]]


def _attribute_line(attribute: str, source: InputRecord, received: _Received, event_type: EventType) -> Line:
    return Line(
        f"envelope.{attribute}",
        _attribute(source, attribute),
        tuple(
            Received(_attribute(record, attribute), _rule_text(rule_for(attribute, agreement, event_type), "no path"))
            for agreement, record, _ in received
        ),
    )


def _field_line(path: str, published: Any, received: _Received) -> Line:
    return Line(
        path,
        _text(published, path),
        tuple(
            Received(_text(data, path), _rule_text(deciding_rule(path, agreement.release), "not listed"))
            for agreement, _, data in received
        ),
    )


def _agreement_of(record: InputRecord) -> str:
    return dict(record.headers).get("ce_agreement", b"").decode(errors="replace")


def _payload(schema: Any, record: InputRecord) -> Any:
    codec = Codec(schema)
    _, body = framing.unframe(record.value or b"")
    return json_data.to_json(codec, codec.decode(body))


def _is_whole(data: Any) -> bool:
    """Whether nothing in it is null."""
    if isinstance(data, Mapping):
        return all(map(_is_whole, data.values()))
    return data is not None


def _attribute(record: InputRecord, attribute: str) -> str | None:
    if attribute == "key":
        return None if record.key is None else record.key.decode(errors="replace")
    return envelope.parse(record.headers, record.value).attributes.get(attribute)


def _text(data: Any, path: str) -> str | None:
    for step in path.split("."):
        if not isinstance(data, Mapping) or step not in data:
            return None
        data = data[step]
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def _leaves(schema: Any) -> list[str]:
    """The fields without fields below them; a list or map counts as one field."""
    paths = [field.path for field in fields(schema) if not field.in_collection]
    return [path for path in paths if not any(path != other and covers(path, other) for other in paths)]


def _rule_text(rule: ReleaseRule | None, otherwise: str) -> str:
    """A rule in few words: ``keep``, ``to month``, ``mask, last 4``."""
    if rule is None:
        return otherwise
    written = rule.as_written()
    if isinstance(written, str):
        return written
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in written[rule.name].items())
    return settings if rule.name == "generalise" else f"{rule.name}, {settings}"


def _count(snapshot: Snapshot, published: PublishedAgreement, *, kept: bool) -> int:
    agreement = published.contract
    rules = [
        deciding_rule(path, agreement.release)
        for path in _leaves(snapshot.event_types[agreement.event_type].current.schema)
    ]
    return sum(rule is not None and (rule.name == "keep") == kept for rule in rules)
