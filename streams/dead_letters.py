"""Events that could not be given: the record as it was, with headers that say why.

The headers follow Kafka Connect's dead letter queue (``__connect.errors.*``) under our own prefix. They hold names of
rules and fields, never values of an event.
"""

import datetime as dt
import json
from collections.abc import Iterable

from lintas import names
from schemas.wire.errors import MalformedEvent, Problem
from streams.decide import AgreementPlan, Dead, EventTypePlan
from streams.records import InputRecord, OutputRecord

MOST_PROBLEMS = 100  # a header must not outgrow the topic's record limit


def dead_letter(
    record: InputRecord, plan: AgreementPlan, dead: Dead, *, catalogue: str, at: dt.datetime, attempt: int
) -> OutputRecord:
    """The event that one consumer could not be given; ``attempt`` counts how often that was tried."""
    return OutputRecord(
        plan.dead,
        0,
        record.key,
        record.value,
        [
            *_original(record),
            *_why(record, stage=dead.stage, problems=dead.problems, catalogue=catalogue, at=at, attempt=attempt),
            _header("agreement", plan.agreement.agreement),
        ],
    )


def quarantined(
    record: InputRecord, plan: EventTypePlan, error: MalformedEvent, *, catalogue: str, at: dt.datetime, attempt: int
) -> OutputRecord:
    """The event that no one can be given; ``attempt`` counts how often it has been read."""
    return OutputRecord(
        plan.quarantine,
        0,
        record.key,
        record.value,
        [
            *_original(record),
            *_why(record, stage=error.stage, problems=error.problems, catalogue=catalogue, at=at, attempt=attempt),
        ],
    )


def _original(record: InputRecord) -> Iterable[tuple[str, bytes]]:
    # A publisher's own header of our prefix would be taken for the bus's word.
    return ((name, value) for name, value in record.headers if not name.startswith(names.ERROR_PREFIX))


def _why(
    record: InputRecord, *, stage: str, problems: tuple[Problem, ...], catalogue: str, at: dt.datetime, attempt: int
) -> Iterable[tuple[str, bytes]]:
    yield _header("topic", record.topic)
    yield _header("partition", str(record.partition))
    yield _header("offset", str(record.offset))
    yield _header("timestamp", str(record.timestamp_ms))
    yield _header("stage", stage)
    yield _header("rule", ", ".join(dict.fromkeys(problem.rule for problem in problems)))
    told = [{"path": one.path, "rule": one.rule, "message": one.message} for one in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        told.append({"path": "", "rule": "more", "message": f"and {len(problems) - MOST_PROBLEMS} more problems"})
    yield _header("problems", json.dumps(told, ensure_ascii=False))
    yield _header("catalogue", catalogue)
    yield _header("time", at.isoformat(timespec="milliseconds"))
    yield _header("attempt", str(attempt))


def _header(name: str, value: str) -> tuple[str, bytes]:
    return names.ERROR_PREFIX + name, value.encode()
