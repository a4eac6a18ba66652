"""The books: every way in which topics and audit records can disagree is found, and nothing else."""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.generator.event import Disorder
from lintas import names
from lintas.demo.intended import is_as_meant
from streams import evidence
from streams.books import Decided, Decisions, Holdings, Place, Tally, Verdict, decided_in, differences
from streams.records import InputRecord

TOPIC = "events.dukcapil.birth.registered.v1"
EVENT_TYPE = "id.go.dukcapil.birth.registered.v1"
FIRST, SECOND, IDLE = "kemenkes.births", "bps.births", "bank.births"
AGREEMENTS = (FIRST, SECOND, IDLE)  # the third is suspended
SALT = b"s" * 32
OUTCOMES = (
    "routed",  # delivered to both
    "routed",  # delivered to the first, filtered for the second
    "routed",  # dead for the first, waiting for the second
    "duplicate",
    "quarantined",
)


@dataclasses.dataclass
class World:
    """Five events with their audit record, and every record that a lane writes of them."""

    batch: dict[str, Any]
    records: list[InputRecord]

    def disagreements(self) -> list[str]:
        decisions, holdings = Decisions(lambda _, __: AGREEMENTS), Holdings()
        decisions.add(self.batch)
        for record in self.records:
            holdings.add(record)
        return [str(difference) for difference in differences(decisions, holdings)]

    @property
    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.batch["partitions"][0]["events"]
        return events

    def first(self, prefix: str) -> InputRecord:
        return next(record for record in self.records if record.topic.startswith(prefix))


def inbox(agreement: str, number: int) -> InputRecord:
    """A delivery of event `number`."""
    headers = [("ce_id", str(number).encode()), ("ce_agreement", agreement.encode()), (names.HEADER_SALT, SALT)]
    return InputRecord(names.inbox_topic(agreement), 1, 10 + number, 0, b"key", b"released %d" % number, headers)


def letter(topic: str, number: int, **more: str) -> InputRecord:
    """An event in `dead.*` or `quarantine.*`."""
    why = {"topic": TOPIC, "partition": "0", "offset": str(number), **more}
    headers = [(names.ERROR_PREFIX + name, value.encode()) for name, value in why.items()]
    return InputRecord(topic, 0, number, 0, b"key", b"event", headers)


def delivered(index: int, number: int) -> dict[str, Any]:
    record = inbox(AGREEMENTS[index], number)
    commitment = evidence.commitment(SALT, record.key, record.headers, record.value)
    return {"agreement": index, "outcome": "delivered", "problem": None, "partition": 1, "payload_out": commitment}


def undelivered(index: int, outcome: str, problem: str) -> dict[str, Any]:
    return {"agreement": index, "outcome": outcome, "problem": problem, "partition": -1, "payload_out": None}


@pytest.fixture
def world() -> World:
    decisions: dict[int, list[dict[str, Any]]] = {
        0: [delivered(0, 0), delivered(1, 0)],
        1: [delivered(0, 1)],
        2: [undelivered(0, "dead", "require: plausible"), undelivered(1, "waiting", "set aside")],
    }
    events = [
        {
            "offset": number,
            "outcome": outcome,
            "payload_in": b"i" * 32,
            "problem": "schema: nik" if outcome == "quarantined" else None,
            "filtered": b"\x02" if number == 1 else b"",
            "decisions": decisions.get(number, []),
        }
        for number, outcome in enumerate(OUTCOMES)
    ]
    standings = [{"agreement": name, "standing": "suspended" if name == IDLE else "in_force"} for name in AGREEMENTS]
    part = {"event_type": EVENT_TYPE, "topic": TOPIC, "partition": 0, "agreements": standings, "events": events}
    return World(
        {"catalogue": "digest", "partitions": [part]},
        [
            *(InputRecord(TOPIC, 0, number, 0, b"key", b"event", []) for number in range(len(OUTCOMES))),
            inbox(FIRST, 0),
            inbox(SECOND, 0),
            inbox(FIRST, 1),
            letter(names.dead_topic(FIRST), 2, agreement=FIRST),
            letter(names.quarantine_topic("dukcapil"), 4),
        ],
    )


def test_books_in_order_show_no_difference(world: World) -> None:
    assert world.disagreements() == []


def test_the_accounts_hold_what_was_decided(world: World) -> None:
    decisions = Decisions(lambda _, __: AGREEMENTS)
    decisions.add(world.batch)
    assert decisions.event_types[TOPIC].outcomes == {"routed": 3, "duplicate": 1, "quarantined": 1}
    assert decisions.event_types[TOPIC].problems == {"schema: nik": 1}
    assert decisions.agreements[FIRST].outcomes == {"delivered": 2, "dead": 1}
    assert decisions.agreements[FIRST].problems == {"require: plausible": 1}
    assert decisions.agreements[SECOND].outcomes == {"delivered": 1, "filtered": 1, "waiting": 1}
    assert [decisions.agreements[name].routed for name in AGREEMENTS] == [3, 3, 3]
    assert [decisions.agreements[name].not_in_force for name in AGREEMENTS] == [0, 0, 3]


def lose_delivery(world: World) -> None:
    world.records.remove(inbox(FIRST, 1))


def double_delivery(world: World) -> None:
    world.records.append(inbox(FIRST, 1))


def lose_one_delivery_and_double_another(world: World) -> None:
    lose_delivery(world)
    world.records.append(inbox(FIRST, 0))


def change_what_was_delivered(world: World) -> None:
    world.records.remove(inbox(FIRST, 1))
    world.records.append(dataclasses.replace(inbox(FIRST, 1), value=b"more than was released"))


def deliver_into_another_partition(world: World) -> None:
    world.records.remove(inbox(FIRST, 1))
    world.records.append(dataclasses.replace(inbox(FIRST, 1), partition=2))


def deliver_beside_the_audit(world: World) -> None:
    world.records.append(inbox("stranger.births", 0))


def lose_audit_entry(world: World) -> None:
    world.events.pop(3)


def double_audit_entry(world: World) -> None:
    world.events.append(copy.deepcopy(world.events[3]))


def lose_published_event(world: World) -> None:
    world.records.remove(world.first(names.EVENTS))


def lose_dead_letter(world: World) -> None:
    world.records.remove(world.first(names.DEAD))


def bury_another_event(world: World) -> None:
    lose_dead_letter(world)
    world.records.append(letter(names.dead_topic(FIRST), 3, agreement=FIRST))


def lose_quarantined_event(world: World) -> None:
    world.records.remove(world.first(names.QUARANTINE))


def forget_a_decision(world: World) -> None:
    world.events[1]["filtered"] = b""


def decide_twice(world: World) -> None:
    world.events[0]["filtered"] = b"\x02"


def forget_one_and_decide_another_twice(world: World) -> None:
    forget_a_decision(world)
    decide_twice(world)


def leave_out_an_agreement(world: World) -> None:
    world.batch["partitions"][0]["agreements"].pop()


def write_an_unsigned_delivery(world: World) -> None:
    record = inbox(FIRST, 1)
    world.records.append(dataclasses.replace(record, headers=record.headers[:-1]))


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lose_delivery, [f"{FIRST}: 2 delivered by the audit, but 1 in the inbox"]),
        (double_delivery, [f"{FIRST}: 2 delivered by the audit, but 3 in the inbox"]),
        (
            lose_one_delivery_and_double_another,
            [f"{FIRST}: 2 delivered by the audit and in the inbox, but not the same events"],
        ),
        (change_what_was_delivered, [f"{FIRST}: 2 delivered by the audit and in the inbox, but not the same events"]),
        (
            deliver_into_another_partition,
            [f"{FIRST}: 2 delivered by the audit and in the inbox, but not the same events"],
        ),
        (deliver_beside_the_audit, ["stranger.births: 0 delivered by the audit, but 1 in the inbox"]),
        (lose_audit_entry, [f"{TOPIC}: 5 published, but 4 decided"]),
        (double_audit_entry, [f"{TOPIC}: 5 published, but 6 decided"]),
        (lose_published_event, [f"{TOPIC}: 4 published, but 5 decided"]),
        (lose_dead_letter, [f"{FIRST}: 1 dead by the audit, but 0 dead letters"]),
        (bury_another_event, [f"{FIRST}: 1 dead by the audit and dead letters, but not the same events"]),
        (lose_quarantined_event, [f"{TOPIC}: 1 quarantined by the audit, but 0 in quarantine"]),
        (forget_a_decision, [f"{SECOND}: 3 routed, but 2 delivered, filtered, dead, waiting or not in force"]),
        (decide_twice, [f"{SECOND}: 3 routed, but 4 delivered, filtered, dead, waiting or not in force"]),
        (forget_one_and_decide_another_twice, [f"{SECOND}: 2 events with no decision or several"]),
        (leave_out_an_agreement, [f"{TOPIC}: audit records list other agreements than their catalogue"]),
        (write_an_unsigned_delivery, [f"{names.inbox_topic(FIRST)}: 1 records that no lane can have written"]),
    ],
)
def test_what_does_not_agree_is_found_and_named(
    world: World, tamper: Callable[[World], None], found: list[str]
) -> None:
    tamper(world)
    assert world.disagreements() == found


@given(st.lists(st.binary(min_size=32, max_size=32)), st.randoms())
def test_tallies_of_the_same_things_are_equal_in_any_order(things: list[bytes], random: Any) -> None:
    assert tally(things) == tally(random.sample(things, len(things)))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, unique=True))
def test_a_tally_tells_one_lost_and_another_doubled(things: list[bytes]) -> None:
    assert tally(things) != tally([things[0], *things[:1], *things[2:]])


def tally(things: Sequence[bytes]) -> Tally:
    counted = Tally()
    for thing in things:
        counted.add(thing)
    return counted


def test_an_event_is_told_with_its_place_and_one_verdict_for_each_agreement(world: World) -> None:
    _, second, *_ = decided_in(world.batch["partitions"][0])
    assert second.place == Place(TOPIC, 0, 1)
    assert {verdict.agreement: verdict.outcome for verdict in second.verdicts} == {
        FIRST: "delivered",
        SECOND: "filtered",
        IDLE: "suspended",
    }


@pytest.mark.parametrize(
    ("kind", "outcome", "verdicts", "as_meant"),
    [
        (Disorder.GOOD, "routed", {FIRST: "delivered", SECOND: "filtered"}, True),
        (Disorder.GOOD, "routed", {FIRST: "filtered"}, False),
        (Disorder.GOOD, "routed", {FIRST: "delivered", SECOND: "dead"}, False),
        (Disorder.GOOD, "duplicate", {}, False),
        (Disorder.LATE, "routed", {FIRST: "filtered"}, True),  # a late event may be no one's
        (Disorder.UNENTITLED, "routed", {}, True),
        (Disorder.UNENTITLED, "routed", {FIRST: "delivered"}, False),
        (Disorder.REQUIRE_BROKEN, "routed", {FIRST: "dead", SECOND: "delivered"}, True),
        (Disorder.REQUIRE_BROKEN, "routed", {SECOND: "delivered"}, False),
        (Disorder.REPEAT, "duplicate", {}, True),
        (Disorder.REPEAT, "routed", {FIRST: "delivered"}, False),
        (Disorder.BROKEN, "quarantined", {}, True),
        (Disorder.BROKEN, "routed", {}, False),
    ],
)
def test_an_event_became_what_was_meant(
    kind: Disorder, outcome: str, verdicts: Mapping[str, str], as_meant: bool
) -> None:
    decided = Decided(
        Place(TOPIC, 0, 0), EVENT_TYPE, outcome, None, tuple(Verdict(*verdict) for verdict in verdicts.items())
    )
    assert is_as_meant(kind, decided) is as_meant
