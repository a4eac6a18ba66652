import datetime as dt
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model import Standing
from schemas.wire import framing
from schemas.wire.varint import zigzag
from streams import audit

AT = dt.datetime(2026, 11, 24, 1, 2, 3, 4000, tzinfo=dt.UTC)
DECIDED = audit.Decided("b" * 32, 1, 3, "host-1", "d" * 64, AT)


def entry(offset: int, decisions: int = 1) -> bytes:
    made = [audit.delivered(0, 1) + bytes(32) + audit.NO_PROBLEM] * decisions
    return b"".join(
        (
            zigzag(offset),
            zigzag(1_000),
            audit.ROUTED,
            bytes(32),
            audit.NO_PROBLEM,
            audit.filtered(0b10, 2),
            audit.array(made),
        )
    )


def partition(number: int, events: int, decisions: int = 1) -> audit.PartitionDecisions:
    agreements = [("one", Standing.IN_FORCE), ("two", Standing.EXPIRED)]
    entries = [entry(offset, decisions) for offset in range(events)]
    return audit.PartitionDecisions("x.v1", "events.x.v1", number, agreements, list(range(events)), entries)


def read(values: list[bytes]) -> list[dict[str, Any]]:
    schema = fastavro.parse_schema(dict(audit.AUDIT_SCHEMA))
    return [fastavro.schemaless_reader(io.BytesIO(framing.unframe(value)[1]), schema, None) for value in values]


def test_one_record_covers_a_small_batch() -> None:
    (batch,) = read(audit.AuditWriter(9).records(DECIDED, [partition(0, 3), partition(1, 2)]))
    assert batch["decided_at"] == AT
    assert [part["next_offset"] for part in batch["partitions"]] == [3, 2]
    assert batch["partitions"][0]["agreements"][1] == {"agreement": "two", "standing": "expired"}


@pytest.mark.parametrize("decisions", [0, 1, 20])
def test_a_large_batch_is_split_below_the_record_limit_and_nothing_is_lost(decisions: int) -> None:
    values = audit.AuditWriter(9).records(DECIDED, [partition(0, 20_000, decisions), partition(1, 5)])
    assert len(values) > 1
    assert max(map(len, values)) < 1_000_000
    batches = read(values)
    assert [batch["part"] for batch in batches] == list(range(len(values)))
    assert {batch["parts"] for batch in batches} == {len(values)}
    places = [
        (part["partition"], event["offset"])
        for batch in batches
        for part in batch["partitions"]
        for event in part["events"]
    ]
    assert places == [(0, offset) for offset in range(20_000)] + [(1, offset) for offset in range(5)]


@given(st.sets(st.integers(0, 40)))
def test_a_bitmap_gives_back_its_members(indices: set[int]) -> None:
    binary = audit.filtered(sum(1 << index for index in indices), 41)
    assert audit.members(binary[1:]) == sorted(indices)
    assert binary[0] == 2 * len(binary[1:])


@pytest.mark.parametrize(
    ("written", "outcome", "rest"),
    [
        (audit.ROUTED, "routed", {"problem": None, "filtered": b"\x02"}),
        (audit.DUPLICATE, "duplicate", {"problem": None, "filtered": b"\x02"}),
        (audit.QUARANTINED, "quarantined", {"problem": "schema: nik", "filtered": b"\x02"}),
    ],
)
def test_entries_are_what_fastavro_would_have_written(written: bytes, outcome: str, rest: dict[str, Any]) -> None:
    problem = audit.NO_PROBLEM if rest["problem"] is None else audit.problem(rest["problem"])
    decisions = [
        audit.delivered(0, 3) + b"c" * 32 + audit.NO_PROBLEM,
        audit.undelivered(1, "dead", "require: heavy"),
        audit.undelivered(1, "waiting", "inbox: gone"),
    ]
    binary = zigzag(-1), zigzag(1 << 40), written, b"p" * 32, problem, audit.filtered(2, 2), audit.array(decisions)
    part = audit.PartitionDecisions("x.v1", "events.x.v1", 7, [("one", Standing.SUSPENDED)], [5], [b"".join(binary)])
    (value,) = audit.AuditWriter(9).records(DECIDED, [part])
    (batch,) = read([value])
    none = {"partition": -1, "payload_out": None}
    assert batch["partitions"][0]["events"] == [
        {
            "offset": -1,
            "published_at": dt.datetime.fromtimestamp((1 << 40) / 1000, dt.UTC),
            "outcome": outcome,
            "payload_in": b"p" * 32,
            **rest,
            "decisions": [
                {"agreement": 0, "outcome": "delivered", "partition": 3, "payload_out": b"c" * 32, "problem": None},
                {"agreement": 1, "outcome": "dead", **none, "problem": "require: heavy"},
                {"agreement": 1, "outcome": "waiting", **none, "problem": "inbox: gone"},
            ],
        }
    ]
    again = io.BytesIO()
    fastavro.schemaless_writer(again, fastavro.parse_schema(dict(audit.AUDIT_SCHEMA)), batch)
    assert framing.frame(9, again.getvalue()) == value
