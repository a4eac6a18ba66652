"""The books: every way in which topics and audit records can disagree is found and named, and nothing else."""

import copy
import dataclasses
import datetime as dt
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from connectors.generator.event import Disorder
from lintas import names
from lintas.demo.intended import is_as_meant
from streams import evidence
from streams.books import Books, Held
from streams.decisions import Decided, Place, Verdict, decided_in
from streams.matching import told
from streams.records import InputRecord

TOPIC = "events.dukcapil.birth.registered.v1"
EVENT_TYPE = "id.go.dukcapil.birth.registered.v1"
FIRST, SECOND, IDLE = "kemenkes.births", "bps.births", "bank.births"
AGREEMENTS = {name: name for name in (FIRST, SECOND, IDLE)}  # with their consumers; the third is suspended
SALT = b"s" * 32
INBOX = names.inbox_topic(FIRST)
NOT_IN_INBOX = f"{FIRST}: 1 events delivered, but not in the inbox: {TOPIC} [0] 1"
BESIDE_AUDIT = "records in the inbox without a decision, or there twice"
NOT_PUBLISHED = "decisions on events that were not published, or were decided before"
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

    def books(self, *, settled: bool = True, held: Mapping[tuple[str, int], Held] | None = None, **terms: Any) -> Books:
        books = Books(lambda _, __: AGREEMENTS, **terms)
        books.held.update(held or {})
        books.decide(self.batch, settled=settled)
        for record in self.records:
            books.hold(record)
        return books

    def disagreements(self, **terms: Any) -> list[str]:
        return [str(difference) for difference in self.books(**terms).differences()]

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
    record = inbox(list(AGREEMENTS)[index], number)
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
            "published_at": 1_000 * number,
            "outcome": outcome,
            "payload_in": b"i" * 32,
            "problem": "schema: nik" if outcome == "quarantined" else None,
            "filtered": b"\x02" if number == 1 else b"",
            "decisions": decisions.get(number, []),
        }
        for number, outcome in enumerate(OUTCOMES)
    ]
    standings = [{"agreement": name, "standing": "suspended" if name == IDLE else "in_force"} for name in AGREEMENTS]
    part = {
        "event_type": EVENT_TYPE,
        "topic": TOPIC,
        "partition": 0,
        "first_offset": 0,
        "next_offset": len(OUTCOMES),
        "agreements": standings,
        "events": events,
    }
    return World(
        {
            "batch": "b",
            "part": 0,
            "parts": 1,
            "catalogue": "digest",
            "decided_at": dt.datetime.fromtimestamp(10, dt.UTC),
            "partitions": [part],
        },
        [
            *(InputRecord(TOPIC, 0, number, 1_000 * number, b"key", b"event", []) for number in range(len(OUTCOMES))),
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
    books = world.books()
    assert books.event_types[TOPIC].outcomes == {"routed": 3, "duplicate": 1, "quarantined": 1}
    assert books.event_types[TOPIC].problems == {"schema: nik": 1}
    assert books.agreements[FIRST].outcomes == {"delivered": 2, "dead": 1}
    assert books.agreements[FIRST].problems == {"require: plausible": 1}
    assert books.agreements[SECOND].outcomes == {"delivered": 1, "filtered": 1, "waiting": 1}
    assert [books.agreements[name].routed for name in AGREEMENTS] == [3, 3, 3]
    assert [books.agreements[name].not_in_force for name in AGREEMENTS] == [0, 0, 3]


def lose_delivery(world: World) -> None:
    world.records.remove(inbox(FIRST, 1))


def double_delivery(world: World) -> None:
    world.records.append(dataclasses.replace(inbox(FIRST, 1), offset=99))


def lose_one_delivery_and_double_another(world: World) -> None:
    lose_delivery(world)
    world.records.append(dataclasses.replace(inbox(FIRST, 0), offset=99))


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


def lose_an_audit_record(world: World) -> None:
    world.batch["parts"] = 2


def write_an_unsigned_delivery(world: World) -> None:
    record = inbox(FIRST, 1)
    world.records.append(dataclasses.replace(record, headers=record.headers[:-1]))


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lose_delivery, [NOT_IN_INBOX]),
        (double_delivery, [f"{FIRST}: 1 {BESIDE_AUDIT}: {INBOX} [1] 99"]),
        (lose_one_delivery_and_double_another, [NOT_IN_INBOX, f"{FIRST}: 1 {BESIDE_AUDIT}: {INBOX} [1] 99"]),
        (change_what_was_delivered, [NOT_IN_INBOX, f"{FIRST}: 1 {BESIDE_AUDIT}: {INBOX} [1] 11"]),
        (deliver_into_another_partition, [NOT_IN_INBOX, f"{FIRST}: 1 {BESIDE_AUDIT}: {INBOX} [2] 11"]),
        (deliver_beside_the_audit, [f"stranger.births: 1 {BESIDE_AUDIT}: inbox.stranger.births [1] 10"]),
        (
            lose_audit_entry,
            [f"{TOPIC}: 1 events passed over: published and not decided, but later ones are: {TOPIC} [0] 3"],
        ),
        (double_audit_entry, [f"{TOPIC}: 1 {NOT_PUBLISHED}: {TOPIC} [0] 3"]),
        (lose_published_event, [f"{TOPIC}: 1 {NOT_PUBLISHED}: {TOPIC} [0] 0"]),
        (lose_dead_letter, [f"{FIRST}: 1 events dead, but without a dead letter: {TOPIC} [0] 2"]),
        (
            bury_another_event,
            [
                f"{FIRST}: 1 events dead, but without a dead letter: {TOPIC} [0] 2",
                f"{FIRST}: 1 dead letters without a decision, or there twice: {names.dead_topic(FIRST)} [0] 3",
            ],
        ),
        (lose_quarantined_event, [f"{TOPIC}: 1 events quarantined, but not in quarantine: {TOPIC} [0] 4"]),
        (forget_a_decision, [f"{SECOND}: 1 routed events with no decision or several: {TOPIC} [0] 1"]),
        (decide_twice, [f"{SECOND}: 1 routed events with no decision or several: {TOPIC} [0] 0"]),
        (
            forget_one_and_decide_another_twice,
            [f"{SECOND}: 2 routed events with no decision or several: {TOPIC} [0] 0-1"],
        ),
        (
            leave_out_an_agreement,
            [f"{TOPIC}: 1 audit records that list other agreements than their catalogue, from here on: {TOPIC} [0] 0"],
        ),
        (write_an_unsigned_delivery, [f"{INBOX}: 1 records that no lane can have written: {INBOX} [1] 11"]),
        (
            lose_an_audit_record,
            [f"{names.AUDIT_DECISIONS}: 1 audit records of a batch that are not there (part by part): batch b [0] 1"],
        ),
    ],
)
def test_what_does_not_agree_is_found_and_named(
    world: World, tamper: Callable[[World], None], found: list[str]
) -> None:
    tamper(world)
    assert world.disagreements() == found


def test_the_order_in_which_the_two_sides_are_read_does_not_matter(world: World) -> None:
    double_delivery(world)
    random.Random(1).shuffle(world.records)
    books = Books(lambda _, __: AGREEMENTS)
    for record in world.records[::2]:
        books.hold(record)
    books.decide(world.batch)
    for record in world.records[1::2]:
        books.hold(record)
    (difference,) = books.differences()
    assert (difference.about, len(difference.places)) == (FIRST, 1)


def test_events_that_no_lane_has_come_to_are_in_flight_and_no_difference(world: World) -> None:
    world.records.append(InputRecord(TOPIC, 0, len(OUTCOMES), 9_000, b"key", b"event", []))
    world.records.append(InputRecord(TOPIC, 1, 0, 9_000, b"key", b"event", []))
    books = world.books()
    assert books.differences() == []
    assert books.event_types[TOPIC].in_flight == 2


def test_what_a_batch_wrote_may_still_be_unseen_but_what_is_there_is_explained_by_it(world: World) -> None:
    lose_delivery(world)
    lose_dead_letter(world)
    lose_quarantined_event(world)
    assert world.disagreements(settled=False) == []
    double_delivery(world)
    double_delivery(world)
    assert len(world.disagreements(settled=False)) == 1


def kinds(books: Books) -> list[str]:
    return [difference.kind for difference in books.differences()]


def test_what_an_unsettled_audit_record_tells_of_is_due_in_the_next_round(world: World) -> None:
    lost = [inbox(FIRST, 1), world.first(names.DEAD), world.first(names.QUARANTINE)]
    world.records = [record for record in world.records if record not in lost]
    books = world.books(settled=False)
    assert kinds(books) == []
    books.begin_round()
    assert kinds(books) == ["quarantine_missing", "missing", "dead_missing"]
    for record in lost:
        books.hold(record)
    assert kinds(books) == []


def test_what_a_settled_audit_record_tells_of_is_due_at_once_in_every_round(world: World) -> None:
    books = Books(lambda _, __: AGREEMENTS)
    books.begin_round()
    lose_delivery(world)
    books.decide(world.batch)
    for record in world.records:
        books.hold(record)
    assert kinds(books) == ["missing"]


def test_a_delivery_that_no_audit_record_names_in_the_same_round_is_a_difference(world: World) -> None:
    """The audit log is read further than the topics: it names what was delivered, if only in unsettled records."""
    books = world.books(settled=False)
    books.begin_round()
    books.hold(dataclasses.replace(inbox(FIRST, 1), offset=99))
    assert kinds(books) == ["unexplained"]
    books.begin_round()
    assert kinds(books) == ["unexplained"]


def test_events_are_in_flight_until_a_settled_audit_record_has_come_further(world: World) -> None:
    lose_audit_entry(world)
    books = world.books(settled=False)
    assert (kinds(books), books.event_types[TOPIC].in_flight) == ([], 1)
    books.begin_round()
    assert (kinds(books), books.event_types[TOPIC].in_flight) == (["skipped"], 0)


def test_events_in_flight_in_one_round_may_be_decided_in_a_later_one(world: World) -> None:
    books = Books(lambda _, __: AGREEMENTS)
    for record in world.records[: len(OUTCOMES)]:
        books.hold(record)
    for _ in range(2):
        books.begin_round()
        assert (kinds(books), books.event_types[TOPIC].in_flight) == ([], len(OUTCOMES))
    books.decide(world.batch)
    for record in world.records[len(OUTCOMES) :]:
        books.hold(record)
    assert (kinds(books), books.event_types[TOPIC].in_flight) == ([], 0)


def test_the_other_parts_of_a_batch_are_due_when_one_of_them_is_settled(world: World) -> None:
    lose_an_audit_record(world)
    books = world.books(settled=False)
    assert kinds(books) == []
    books.begin_round()
    assert kinds(books) == ["incomplete_batch"]
    books.decide(world.batch | {"part": 1, "partitions": []}, settled=False)
    assert kinds(books) == []


def test_what_waited_is_due_when_it_was_given_by_a_settled_audit_record(world: World) -> None:
    caught_up = {"outcome": "caught_up", "problem": "resumed", "decisions": [delivered(1, 1)]}
    part = world.batch["partitions"][0]
    given = world.batch | {"batch": "c", "partitions": [part | {"events": [world.events[1] | caught_up]}]}
    books = world.books()
    books.decide(given, settled=False)
    books.hold(inbox(SECOND, 1))
    assert kinds(books) == []
    books.begin_round()
    assert kinds(books) == ["not_waiting"]


def test_what_retention_deletes_between_two_rounds_is_not_missed(world: World) -> None:
    lose_delivery(world)
    books = world.books(settled=False)
    books.begin_round()
    assert kinds(books) == ["missing"]
    books.held[INBOX, 1] = Held(99, 10_001)  # the decision is of 10,000
    assert kinds(books) == []


def test_what_is_known_has_an_account_before_anything_has_come() -> None:
    books = Books(lambda _, __: AGREEMENTS)
    books.open_accounts({TOPIC: EVENT_TYPE}, {FIRST: EVENT_TYPE})
    assert books.differences() == []
    compared = {(one.about, one.kind) for one in books.comparisons()}
    assert {(TOPIC, "skipped"), (FIRST, "missing"), (names.AUDIT_DECISIONS, "incomplete_batch")} <= compared


def test_an_account_learns_its_event_type_though_a_record_of_it_came_first(world: World) -> None:
    books = Books(lambda _, __: AGREEMENTS)
    for record in world.records:
        books.hold(record)
    books.decide(world.batch)
    assert {account.event_type for account in books.event_types.values()} == {EVENT_TYPE}
    assert {account.event_type for account in books.agreements.values()} == {EVENT_TYPE}


def test_what_waited_and_was_given_at_last_is_accounted_for_once(world: World) -> None:
    at_last = copy.deepcopy(world.batch)
    (part,) = at_last["partitions"]
    waited = part["events"][2]
    part["events"] = [waited | {"outcome": "caught_up", "problem": "resumed", "decisions": [delivered(1, 2)]}]
    books = world.books()
    books.decide(at_last | {"batch": "c"})
    assert [str(difference) for difference in books.differences()] == [
        f"{SECOND}: 1 events delivered, but not in the inbox: {TOPIC} [0] 2"
    ]
    books.hold(inbox(SECOND, 2))
    assert books.differences() == []
    account = books.agreements[SECOND]
    assert (account.routed, account.outcomes["waiting"], account.outcomes["delivered"]) == (3, 0, 2)
    books.decide(at_last | {"batch": "d"})
    assert any("had not waited, or twice" in difference.what for difference in books.differences())


def test_what_was_deleted_by_retention_is_not_missed(world: World) -> None:
    lose_published_event(world)
    lose_delivery(world)
    lose_dead_letter(world)
    lose_quarantined_event(world)
    gone = Held(7, math.inf)
    held = {
        (INBOX, 1): gone,
        (names.dead_topic(FIRST), 0): gone,
        (names.quarantine_topic("dukcapil"), 0): gone,
        (TOPIC, 0): Held(1, 1_000),
    }
    assert world.disagreements(held=held) == []
    still_there = held | {(INBOX, 1): Held(7, 9_999)}  # the decision is of 10,000
    assert world.disagreements(held=still_there) == [NOT_IN_INBOX]


def test_only_a_period_is_asked_for_and_the_rest_is_explained(world: World) -> None:
    lose_delivery(world)  # event 1, published at 1,000
    assert world.disagreements(since_ms=2_000) == []
    assert world.disagreements(until_ms=1_000) == []
    assert world.disagreements(since_ms=1_000, until_ms=1_001) == [NOT_IN_INBOX]
    account = world.books(since_ms=1_000, until_ms=3_000).event_types[TOPIC]
    assert (account.events.found, account.outcomes) == (2, {"routed": 2})


def test_many_places_are_told_as_runs() -> None:
    assert told([Place("t", 0, 5), Place("t", 0, 4), Place("t", 0, 9), Place("u", 1, 1)]) == "t [0] 4-5, 9; u [1] 1"
    assert told(Place("t", 0, 2 * offset) for offset in range(11)).endswith("16, 18, ...")
    assert told(Place("t", one, 2) for one in range(11)).endswith("t [9] 2; and more")


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
        Place(TOPIC, 0, 0), EVENT_TYPE, 0, outcome, None, tuple(Verdict(*verdict) for verdict in verdicts.items())
    )
    assert is_as_meant(kind, decided) is as_meant


def decided_again(world: World, number: int, **changes: Any) -> dict[str, Any]:
    """An audit record about one event of the world."""
    again = copy.deepcopy(world.batch)
    (part,) = again["partitions"]
    part["events"] = [part["events"][number] | changes]
    return again | {"batch": f"again-{number}"}


def test_an_event_out_of_quarantine_is_accounted_for_once(world: World) -> None:
    routed = decided_again(
        world, 4, outcome="routed", problem="readmitted 7", decisions=[delivered(0, 4), delivered(1, 4)]
    )
    books = world.books()
    books.decide(routed)
    assert kinds(books) == ["missing", "missing"]
    books.hold(inbox(FIRST, 4))
    books.hold(inbox(SECOND, 4))
    assert books.differences() == []
    assert books.event_types[TOPIC].outcomes == {"routed": 4, "duplicate": 1, "quarantined": 0}
    assert [books.agreements[name].routed for name in AGREEMENTS] == [4, 4, 4]
    books.decide(decided_again(world, 4, outcome="duplicate", problem="readmitted 8", decisions=[]))
    assert kinds(books) == ["not_quarantined"]


def test_an_event_that_comes_back_into_quarantine_is_there_twice(world: World) -> None:
    books = world.books()
    books.decide(decided_again(world, 4, problem="readmitted 7: schema: nik"))
    assert kinds(books) == ["quarantine_missing"]
    books.hold(dataclasses.replace(world.first(names.QUARANTINE), offset=99))
    assert books.differences() == []
    assert books.event_types[TOPIC].outcomes["quarantined"] == 1


def test_what_is_replayed_comes_on_top_and_must_be_in_the_inbox_as_well(world: World) -> None:
    replayed = decided_again(
        world, 1, outcome="caught_up", problem="replayed 3", filtered=b"", decisions=[delivered(0, 7)]
    )
    dead = decided_again(
        world, 2, outcome="caught_up", problem="replayed 3", decisions=[undelivered(0, "dead", "require: plausible")]
    )
    books = world.books()
    books.decide(replayed)
    books.decide(dead)
    assert kinds(books) == ["missing"]
    books.hold(inbox(FIRST, 7))
    assert books.differences() == []
    account = books.agreements[FIRST]
    assert (account.routed, account.outcomes, account.replayed) == (
        3,
        {"delivered": 2, "dead": 1},
        {"delivered": 1, "dead": 1},
    )


def test_what_was_published_before_an_agreement_began_counts_as_routed_to_it(world: World) -> None:
    books = world.books()
    decisions = [delivered(0, 7)]
    books.decide(decided_again(world, 1, outcome="caught_up", problem="backfilled", filtered=b"", decisions=decisions))
    books.hold(inbox(FIRST, 7))
    assert books.differences() == []
    assert (books.agreements[FIRST].routed, books.agreements[FIRST].outcomes["delivered"]) == (4, 3)
