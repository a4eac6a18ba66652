import copy
import dataclasses
import datetime as dt
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from schemas.compose import compose, numbering
from schemas.load import load
from streams.processors.counting import (
    BIRTHS,
    COUNTED,
    DEATHS,
    FIELDS,
    MOVES_IN,
    MOVES_OUT,
    REMEMBER_DAYS,
    Computed,
    Registration,
    Tally,
    computed_of,
    registration,
)
from streams.processors.vital_statistics import SYSTEM

DAY_MS = 86_400_000
BIRTH, DEATH, MOVE = COUNTED


def released(**data: Any) -> dict[str, Any]:
    return {"registered_at": "2026-03-01", **data}


@pytest.mark.parametrize(
    ("event_type", "data", "adds"),
    [
        (BIRTH, released(province="32"), (("32", BIRTHS),)),
        (DEATH, released(province="91"), (("91", DEATHS),)),
        (MOVE, released(from_province="32", to_province="51"), (("32", MOVES_OUT), ("51", MOVES_IN))),
        (MOVE, released(from_province="32", to_province="32"), (("32", MOVES_OUT), ("32", MOVES_IN))),
        (BIRTH, released(province="32.73"), (("32", BIRTHS),)),  # a regency lies in its province
        ("id.go.dukcapil.marriage.registered.v1", {}, ()),  # not counted, also where an agreement releases it
    ],
)
def test_an_event_adds_to_the_provinces_it_names(
    event_type: str, data: dict[str, Any], adds: tuple[tuple[str, str], ...]
) -> None:
    event = {"type": event_type, "source": "urn:lintas:dukcapil.siak", "id": "1"}
    assert registration(0, 0, 0, event, data).adds == adds


@pytest.mark.parametrize("data", [{"registered_at": "2026-03-01"}, {"province": "32", "registered_at": "March"}])
def test_a_payload_without_what_is_counted_is_an_error(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        registration(0, 0, 0, {"type": BIRTH, "source": "a", "id": "1"}, data)


def test_every_agreement_releases_what_is_counted_and_nothing_else() -> None:
    """The processor cannot see a name or a NIK: the schemas of its inbox have no field for them."""
    catalogue, problems = load(Path(schemas.__path__[0]) / "catalogue")
    assert not problems
    snapshot = compose(catalogue, numbering())
    own = [agreement for agreement in snapshot.agreements.values() if agreement.contract.consumer == SYSTEM]
    assert {agreement.contract.event_type for agreement in own} == set(COUNTED)
    for agreement in own:
        fields = {field["name"] for field in agreement.released.schema["fields"]}
        assert fields == {field for field, _ in COUNTED[agreement.contract.event_type]} | {"registered_at"}
        assert not agreement.contract.personal_data_in_clear
        assert not agreement.contract.envelope  # id, subject and key are pseudonyms


def test_a_batch_makes_one_version_of_each_count_that_grew() -> None:
    tally = Tally({})
    for offset in range(5):
        tally.add(Registration(0, offset, 0, f"a{offset}", "2026-03-01", (("32", BIRTHS),)))
    tally.add(Registration(0, 5, 0, "b", "2026-03-02", (("32", DEATHS),)))
    assert tally.close() == [
        Computed("2026-03-01", "32", 5, 0, 0, 0, 1),
        Computed("2026-03-02", "32", 0, 1, 0, 0, 1),
    ]
    assert tally.close() == []
    assert Computed("2026-03-01", "32", 5, 0, 0, 0, 1).id == "2026-03-01/32/1"


def test_a_late_event_makes_the_next_version_of_its_day() -> None:
    table: dict[str, Any] = {}
    tally = Tally(table)
    tally.add(Registration(0, 0, 0, "a", "2026-03-01", (("32", BIRTHS),)))
    tally.close()
    restarted = Tally(table)
    restarted.add(Registration(1, 7, 9 * DAY_MS, "b", "2026-03-01", (("32", DEATHS),)))
    assert restarted.close() == [Computed("2026-03-01", "32", 1, 1, 0, 0, 2)]


def test_an_event_is_remembered_for_as_long_as_it_can_be_replayed_and_then_forgotten() -> None:
    table: dict[str, Any] = {}
    tally = Tally(table)
    tally.add(Registration(0, 0, 0, "a", "2026-03-01", (("32", BIRTHS),)))
    tally.add(Registration(0, 1, REMEMBER_DAYS * DAY_MS, "b", "2026-03-01", (("32", BIRTHS),)))
    tally.close()
    assert {key for key in table if key.startswith("seen/")} == {"seen/a", "seen/b"}
    tally.add(Registration(0, 2, (REMEMBER_DAYS + 1) * DAY_MS, "c", "2026-03-01", (("32", BIRTHS),)))
    tally.close()
    assert {key for key in table if key.startswith("seen/")} == {"seen/b", "seen/c"}


@dataclasses.dataclass(frozen=True)
class Bus:
    """What is kept: the table, and what was published with it."""

    table: dict[str, Any]
    published: list[Computed]


@st.composite
def inboxes(draw: st.DrawFn) -> list[list[Registration]]:
    """Up to 3 partitions of records, some of which repeat an earlier event of their partition, days in any order."""
    inbox: list[list[Registration]] = []
    for partition in range(draw(st.integers(1, 3))):
        records: list[Registration] = []
        offset = draw(st.integers(0, 50))
        for number in range(draw(st.integers(0, 12))):
            offset += draw(st.integers(1, 3))  # transaction markers leave gaps
            if draw(st.booleans()) and records:
                records.append(dataclasses.replace(draw(st.sampled_from(records)), offset=offset))
                continue
            day = (dt.date(2026, 3, 1) + dt.timedelta(days=draw(st.integers(0, 2)))).isoformat()
            provinces = st.sampled_from(["32", "51"])
            adds = draw(
                st.one_of(
                    st.tuples(st.tuples(provinces, st.sampled_from([BIRTHS, DEATHS]))),
                    st.tuples(st.tuples(provinces, st.just(MOVES_OUT)), st.tuples(provinces, st.just(MOVES_IN))),
                )
            )
            records.append(Registration(partition, offset, 0, f"{partition}-{number}", day, adds))
        inbox.append(records)
    return inbox


def expected(inbox: list[list[Registration]]) -> dict[tuple[str, str], Counter[str]]:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for event in {record.digest: record for records in inbox for record in records}.values():
        for province, what in event.adds:
            counts[event.day, province][what] += 1
    return counts


def run_with_crashes(inbox: list[list[Registration]], data: st.DataObject) -> Bus:
    """Read to the end in batches, in any order between partitions; crash now and then, and read some records again."""
    bus = Bus({}, [])
    crashes = 4
    while True:
        kept = copy.deepcopy(bus.table)  # what a process reads when it starts
        tally = Tally(kept)
        position = tally.positions()
        ahead = {number: position.get(number, 0) for number in range(len(inbox))}
        if crashes:  # a fetch that was under way: records behind the position come again
            ahead = {number: data.draw(st.integers(0, offset)) for number, offset in ahead.items()}
        while True:
            waiting = [
                next(record for record in records if record.offset >= ahead[number])
                for number, records in enumerate(inbox)
                if any(record.offset >= ahead[number] for record in records)
            ]
            if not waiting:
                bus.published.extend(tally.close())
                bus.table.clear()
                bus.table.update(copy.deepcopy(kept))
                return bus
            record = data.draw(st.sampled_from(waiting))
            ahead[record.partition] = record.offset + 1
            tally.add(record)
            event = data.draw(st.sampled_from(["add", "add", "write", "crash"]))
            if event == "crash" and crashes:
                crashes -= 1
                tally.close()  # computed, but the transaction did not happen
                break
            if event == "write":
                bus.published.extend(tally.close())
                bus.table.clear()
                bus.table.update(copy.deepcopy(kept))


@settings(max_examples=40)
@given(inbox=inboxes(), data=st.data())
def test_repeats_late_events_and_crashes_leave_the_counts_of_an_undisturbed_run(
    inbox: list[list[Registration]], data: st.DataObject
) -> None:
    bus = run_with_crashes(inbox, data)
    final = {(counts.day, counts.province): counts for counts in computed_of(bus.table)}
    assert {cell: Counter({field: getattr(counts, field) for field in FIELDS}) for cell, counts in final.items()} == (
        expected(inbox)
    )
    assert Tally(bus.table).positions() == {
        number: records[-1].offset + 1 for number, records in enumerate(inbox) if records
    }


@settings(max_examples=40)
@given(inbox=inboxes(), data=st.data())
def test_a_version_stands_for_one_state_and_the_last_one_for_the_final_counts(
    inbox: list[list[Registration]], data: st.DataObject
) -> None:
    bus = run_with_crashes(inbox, data)
    by_cell: dict[tuple[str, str], list[Computed]] = defaultdict(list)
    for computed in bus.published:
        by_cell[computed.day, computed.province].append(computed)
    for versions in by_cell.values():
        assert [computed.version for computed in versions] == list(range(1, len(versions) + 1))
        totals = [sum(getattr(computed, field) for field in FIELDS) for computed in versions]
        assert totals == sorted(set(totals))  # each grew
    assert {versions[-1] for versions in by_cell.values()} == set(computed_of(bus.table))
