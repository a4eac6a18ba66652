"""What the bus does with one event: pure decisions, compiled once for each catalogue (DESIGN section 3)."""

import contextlib
import copy
import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lintas import names
from schemas import pseudonyms
from schemas.conditions import Condition, ConditionFailed
from schemas.envelope_release import carries_trace_on, released_envelope
from schemas.model import Agreement, Standing
from schemas.pseudonyms import PseudonymKeys
from schemas.released import Releaser
from schemas.rules import CannotRelease
from schemas.snapshot import PublishedAgreement, PublishedEventType, Snapshot
from schemas.span_places import Unsuited
from schemas.wire import envelope as envelopes
from schemas.wire import framing, json_data
from schemas.wire.codec import Codec
from schemas.wire.envelope import Envelope
from schemas.wire.errors import MalformedData, MalformedEnvelope, MalformedEvent, Problem, UnknownSchema
from schemas.wire.trace_context import TRACEPARENT
from streams.envelope_shapes import KnownEnvelopes
from streams.records import InputRecord
from streams.slots import EVERYBODY, Partition, Slot
from streams.span_plans import Reading, Terms
from streams.window import identity


class Stage(enum.StrEnum):
    """Where an agreement could not be served."""

    WHEN = "when"
    REQUIRE = "require"
    RELEASE = "release"
    DELIVERY = "delivery"  # not the event's fault
    EVENT = "event"  # it was well-formed when it was published, and is not so by now
    CRASH = "crash"  # not a rule's word: the code failed


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A well-formed event: its envelope, its payload read as the newest schema, and who published it."""

    envelope: Envelope
    data: Mapping[str, Any]
    publisher: str
    key: bytes | None

    @property
    def identity(self) -> bytes:
        """What it shares with its repeats."""
        return identity(self.envelope.source.encode(), self.envelope.id.encode())


@dataclasses.dataclass(frozen=True, slots=True)
class Filtered:
    """`when` is false: not this consumer's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Dead:
    """This consumer's, but it cannot be given: every problem, by rule, without values."""

    stage: Stage
    problems: tuple[Problem, ...]

    @property
    def reason(self) -> str:
        """Stage and rules, for the audit record."""
        return f"{self.stage}: {', '.join(problem.rule for problem in self.problems)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """What this consumer gets; ``headers`` without trace and salt, ``partition`` of its inbox.

    ``parent`` is the publisher's ``traceparent`` if the delivery is to carry on with its trace.
    """

    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    parent: str | None = None


Decision = Filtered | Dead | Delivery


class AgreementPlan:
    """One agreement on one event type, compiled."""

    def __init__(self, snapshot: Snapshot, published: PublishedAgreement, keys: PseudonymKeys) -> None:
        """Compile the agreement's conditions and release against the event type's newest schema."""
        agreement = published.contract
        event_type = snapshot.event_types[agreement.event_type]
        consumer = snapshot.system(agreement.consumer)
        schema = event_type.current.schema
        self.agreement: Agreement = agreement
        self.inbox = names.inbox_topic(agreement.consumer)
        self.dead = names.dead_topic(agreement.consumer)
        self.inbox_partitions = consumer.inbox_partitions
        self._event_type = event_type.contract
        self._before = event_type.contract.before
        self.channel = snapshot.channel_of(agreement)
        self._carries_trace_on = carries_trace_on(event_type.contract)
        self._when = None if agreement.when is None else Condition(agreement.when, schema)
        self._require = {name: Condition(text, schema) for name, text in agreement.require.items()}
        self._releaser = Releaser(schema, agreement.release)
        self._codec = Codec(published.released.schema)
        self._released_id = published.released.id
        self._pseudonymise = keys.for_consumer(agreement.consumer, consumer.pseudonym_key, agreement.pseudonym_domain)
        self._partition_key = keys.partition_key(agreement.consumer)
        self.terms = Terms(
            agreement,
            self._event_type,
            channel=self.channel,
            when=self._when,
            require=tuple(self._require.values()),
            cut=self._releaser.cut,
            released_id=published.released.id,
            pseudonymise=self._pseudonymise,
            partition_key=self._partition_key,
            partitions=consumer.inbox_partitions,
        )

    def concerns(self, event: Event) -> bool:
        """Whether `when` holds; for a correction, whether it holds after or held before.

        Raises:
            ConditionFailed: the condition cannot be computed for this event.
        """
        if self._when is None or self._when(event.envelope.attributes, event.data):
            return True
        before = None if self._before is None else event.data[self._before]
        return before is not None and self._when(event.envelope.attributes, {**event.data, **before})

    def decide(self, event: Event) -> Decision:
        """What this consumer gets of the event."""
        try:
            if not self.concerns(event):
                return Filtered()
        except ConditionFailed as error:
            return Dead(Stage.WHEN, (Problem("when", "when", str(error)),))
        if broken := self._broken_requirements(event):
            return Dead(Stage.REQUIRE, broken)
        try:
            return self._release(event)
        except CannotRelease as error:
            return Dead(Stage.RELEASE, (Problem(getattr(error, "path", ""), "release", str(error)),))
        except MalformedData as error:
            return Dead(Stage.RELEASE, error.problems)

    def _broken_requirements(self, event: Event) -> tuple[Problem, ...]:
        broken = []
        for name, condition in self._require.items():
            try:
                if not condition(event.envelope.attributes, event.data):
                    broken.append(Problem(name, name, "the requirement is not met"))
            except ConditionFailed as error:
                broken.append(Problem(name, name, str(error)))
        return tuple(broken)

    def _release(self, event: Event) -> Delivery:
        attributes, key = released_envelope(
            event.envelope.attributes,
            event.key,
            agreement=self.agreement,
            event_type=self._event_type,
            publisher=event.publisher,
            channel=self.channel,
            pseudonymise=self._pseudonymise,
        )
        data = self._releaser(event.data, self._pseudonymise)
        source_key = event.envelope.id.encode() if event.key is None else event.key
        return Delivery(
            pseudonyms.inbox_partition(self._partition_key, source_key, self.inbox_partitions),
            key,
            framing.frame(self._released_id, self._codec.encode(data)),
            envelopes.binary_headers(attributes),
            event.envelope.attributes.get(TRACEPARENT) if self._carries_trace_on else None,
        )


class EventTypePlan:
    """One event type with every agreement on it, compiled."""

    def __init__(self, snapshot: Snapshot, published: PublishedEventType, keys: PseudonymKeys) -> None:
        """Compile the event type and its agreements."""
        contract = published.contract
        self.event_type = contract.event_type
        self.owner = contract.owner
        self.topic = published.topic
        self.quarantine = names.quarantine_topic(contract.owner)
        self.agreements: Sequence[AgreementPlan] = [
            AgreementPlan(snapshot, agreement, keys) for agreement in snapshot.agreements_on(contract.event_type)
        ]
        self.carries_trace_on = carries_trace_on(contract)
        self._contract = contract
        self._subject = contract.subject
        self._publishers = {names.source_of(system): system for system in contract.publishers}
        self._codecs = {schema.id: Codec(schema.schema) for schema in published.schemas}
        self._current = Codec(published.current.schema)
        self._current_id = published.current.id
        self.readings = self._readings()
        self.envelopes = KnownEnvelopes()

    def _readings(self) -> Mapping[bytes, Reading]:
        """What reads events by field span, by the first bytes of their values; not every schema has it."""
        terms = [plan.terms if plan.terms.are_usual else None for plan in self.agreements]
        readings = {}
        for schema_id, codec in self._codecs.items():
            with contextlib.suppress(Unsuited):
                readings[framing.frame(schema_id, b"")] = Reading(codec.type, self._current.type, self._contract, terms)
        return readings

    def standings(self, at: dt.datetime) -> list[Standing]:
        """Whether each agreement is in force at ``at``, in the agreements' order."""
        return [plan.agreement.standing(at) for plan in self.agreements]

    def read(self, record: InputRecord) -> Event:
        """Read a record of the event type's topic.

        Raises:
            MalformedEvent: with every problem of the first stage that has one; no one can be given this event.
        """
        envelope = envelopes.parse(record.headers, record.value)
        problems = []
        if envelope.type != self.event_type:
            problems.append(Problem("envelope.type", "type", f"the topic carries {self.event_type}"))
        publisher = self._publisher_of(envelope.source)
        if publisher is None:
            problems.append(
                Problem(
                    "envelope.source", "source", f"not a publisher of this event type: {', '.join(self._publishers)}"
                )
            )
        if problems or publisher is None:
            raise MalformedEnvelope(tuple(problems))
        data = self._data_of(envelope)
        self._check_subject(envelope, data)
        return Event(envelope, data, publisher, record.key)

    def _publisher_of(self, source: str) -> str | None:
        stem = source.partition("/")[0]
        return self._publishers.get(stem)

    def _data_of(self, envelope: Envelope) -> Mapping[str, Any]:
        if envelope.has_json_data:
            data = json_data.from_json(self._current, envelope.json_data)
        elif envelope.data is None:
            raise MalformedData((Problem("", "no-data", "the event has no payload"),))
        else:
            schema_id, body = framing.unframe(envelope.data)
            codec = self._codecs.get(schema_id)
            if codec is None:
                known = ", ".join(map(str, self._codecs))
                raise UnknownSchema(
                    (
                        Problem(
                            "",
                            "unknown-schema",
                            f"schema id {schema_id} is not of this event type (has {known})",
                        ),
                    )
                )
            data = codec.decode(body, None if schema_id == self._current_id else self._current)
        return data  # type: ignore[no-any-return]  # the top level of an event is a record

    def _check_subject(self, envelope: Envelope, data: Mapping[str, Any]) -> None:
        if self._subject is None or envelope.subject is None:
            return
        value: Any = data
        for name in self._subject.split("."):
            value = None if value is None else value[name]
        if value != envelope.subject:
            raise MalformedEnvelope(
                (
                    Problem(
                        "envelope.subject",
                        "subject",
                        f"differs from the payload's {self._subject}, which it must repeat",
                    ),
                )
            )


class Plans:
    """Every event type of one catalogue, compiled, by topic."""

    def __init__(self, snapshot: Snapshot, keys: PseudonymKeys) -> None:
        """Compile a catalogue; ``keys`` make pseudonyms and inbox partitions."""
        self.snapshot = snapshot
        self._keys = keys
        self.digest = snapshot.digest
        self.by_topic: Mapping[str, EventTypePlan] = {
            published.topic: EventTypePlan(snapshot, published, keys) for published in snapshot.event_types.values()
        }

    def under(self, terms: PublishedAgreement) -> "Plans":
        """The same catalogue with other terms for one agreement, for events of its type alone."""
        agreement = terms.contract
        snapshot = dataclasses.replace(
            self.snapshot, agreements={**self.snapshot.agreements, agreement.agreement: terms}
        )
        published = snapshot.event_types[agreement.event_type]
        plans = copy.copy(self)
        plans.by_topic = {published.topic: EventTypePlan(snapshot, published, self._keys)}
        return plans

    def in_force(self, slot: Slot, at: dt.datetime) -> bool:
        """Whether an agreement (name, input topic, partition) is in the catalogue and in force at ``at``.

        For everybody (``EVERYBODY``): whether the event type is in the catalogue.
        """
        event_type = self.by_topic.get(slot[1])
        return event_type is not None and (
            slot[0] == EVERYBODY
            or any(
                plan.agreement.agreement == slot[0] and plan.agreement.standing(at) is Standing.IN_FORCE
                for plan in event_type.agreements
            )
        )

    def backfills(self, partitions: Iterable[Partition]) -> dict[Slot, dt.datetime]:
        """Which agreements are to get their past in some input partitions, and from when on."""
        return {
            (plan.agreement.agreement, *place): plan.agreement.backfill.from_
            for place in partitions
            for plan in self.by_topic[place[0]].agreements
            if plan.agreement.backfill is not None
        }

    def partitions(self) -> list[tuple[str, int]]:
        """Every input partition, by topic and number."""
        return [
            (published.topic, partition)
            for published in self.snapshot.event_types.values()
            for partition in range(published.contract.partitions)
        ]


def reason_of(error: MalformedEvent) -> str:
    """Stage and rules of a malformed event, for the audit record."""
    return f"{error.stage}: {', '.join(dict.fromkeys(problem.rule for problem in error.problems))}"
