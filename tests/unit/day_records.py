"""A generated day of the example deployment as lanes read it."""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import schemas
from connectors.generator.day import day
from connectors.generator.records import to_record
from schemas.compose import compose, numbering
from schemas.load import load
from schemas.pseudonyms import PseudonymKeys
from schemas.wire.codec import Codec
from streams.decide import Plans
from streams.records import InputRecord

AT = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
KEYS = PseudonymKeys.fixed({1: b"k" * 32})


def example_plans() -> Plans:
    catalogue, problems = load(Path(schemas.__path__[0]) / "catalogue")
    assert not problems
    return Plans(compose(catalogue, numbering()), KEYS)


def day_records(plans: Plans) -> Mapping[str, Sequence[InputRecord]]:
    """By topic, each topic in one partition."""
    by_topic: dict[str, list[InputRecord]] = {}
    codecs = {name: Codec(one.current.schema) for name, one in plans.snapshot.event_types.items()}
    for event in day(7, dt.date(2026, 11, 24), 2_000):
        published = plans.snapshot.event_types[event.event_type]
        record = to_record(event, codecs[event.event_type], published.current.id)
        held = by_topic.setdefault(published.topic, [])
        held.append(
            InputRecord(
                published.topic, 0, 9_000 + len(held), 1_000 + len(held), record.key, record.value, list(record.headers)
            )
        )
    return by_topic


def mutated(record: InputRecord, random: random.Random) -> InputRecord:
    """The record with something wrong, or unusual, in value, headers or key."""
    value, headers, key = bytearray(record.value or b""), list(record.headers), record.key
    kind = random.randrange(9)
    if kind == 0:
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)
    elif kind == 1:
        del value[random.randrange(len(value)) :]
    elif kind == 2:
        value += b"\0"
    elif kind == 3:
        headers.append(("ce_traceparent", b"00-" + bytes([random.randrange(256)])))
    elif kind == 4:
        at = random.randrange(len(headers))
        name, held = headers[at]
        headers[at] = (name, held + random.choice([b" ", b"\n", b"\xff", "é".encode(), b"x"]))
    elif kind == 5:
        random.shuffle(headers)
    elif kind == 6:
        headers = [one for one in headers if one[0] != "ce_time"]
    elif kind == 7:
        key = None
    else:
        zone = random.choice([b"+07:00", b"Z", b"-00:00", b"+24:00", b""])
        headers = [(name, held[:-1] + zone if name == "ce_time" else held) for name, held in headers]
    return InputRecord(record.topic, 0, record.offset, record.timestamp_ms, key, bytes(value), headers)
