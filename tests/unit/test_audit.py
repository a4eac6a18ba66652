import datetime as dt
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model import Standing
from schemas.wire import framing
from streams import audit

AT = dt.datetime(2026, 11, 24, 1, 2, 3, 4000, tzinfo=dt.UTC)
DECIDED = audit.Decided("b" * 32, 1, 3, "host-1", "d" * 64, AT)


def entry(offset: int, decisions: int = 1) -> dict[str, object]:
    return audit.event_decision(
        offset=offset,
        published_ms=1_000,
        outcome="routed",
        payload_in=bytes(32),
        filtered=b"\x02",
        decisions=[{"agreement": 0, "outcome": "delivered", "partition": 1, "payload_out": bytes(32)}] * decisions,
    )


def partition(number: int, events: int, decisions: int = 1) -> audit.PartitionDecisions:
    agreements = [("one", Standing.IN_FORCE), ("two", Standing.EXPIRED)]
    return audit.PartitionDecisions(
        "x.v1", "events.x.v1", number, agreements, [entry(offset, decisions) for offset in range(events)]
    )


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
    assert audit.members(audit.bitmap(sorted(indices), 41)) == sorted(indices)
