"""Hostile payloads: whether one costs the lane more than it should, or comes out otherwise than by decoding it."""

import dataclasses
import datetime as dt
import random
import statistics
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench import catalogue, report
from bench.contender import Failed
from bench.jobs import RELEASE, data_of, headers_of, key_of
from bench.machine import moment
from schemas.compose import compose, numbering
from schemas.pseudonyms import PseudonymKeys
from schemas.span_walk import DECLINES, Walk
from schemas.wire import framing
from schemas.wire.codec import Codec
from schemas.wire.varint import read_varint
from streams.audit import DUPLICATE, QUARANTINED, ROUTED
from streams.batch import Batch
from streams.decide import Plans
from streams.record_format import FilledBatch, RawBatch, content
from streams.window import DuplicateWindow

PAYLOADS: Final = 100_000
GOOD: Final = 2_000  # good events whose cost is the measure
SUSPECT: Final = 6  # times the cost of a good event
AGAIN: Final = 20  # a slow one is measured again so often: the machine has other things to do as well
SMALL: Final = 200  # bytes: below it the exception that declines a payload is larger than the payload
LARGE: Final = 64  # how many remarks make a large payload
_HOSTILE: Final = (b"\xff\xff\xff\xff\x0f", b"\x80\x00", b"\xff" * 10, b"\x01", b"\xfe" + b"\xff" * 8 + b"\x01")
_KEYS: Final = PseudonymKeys.fixed({1: b"the bench knows no secrets".ljust(32)})
_OUTCOMES: Final = {ROUTED: "released", DUPLICATE: "duplicate", QUARANTINED: "malformed"}


def mutated(body: bytes, chance: random.Random) -> bytes:
    """A payload with bits flipped, cut short, or with hostile numbers in it."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed)) if changed else 0
        kind = chance.randrange(4)
        if kind == 0 and changed:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:  # noqa: PLR2004  the third kind
            changed[at : at + 1] = chance.choice(_HOSTILE)
        else:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(changed)


@dataclasses.dataclass
class _Lane:
    """Decides single events of job C as a lane does."""

    plans: Plans
    topic: str = RELEASE.topic

    def __post_init__(self) -> None:
        window = DuplicateWindow(records=10, seconds=1)
        self.batch = Batch(self.plans, {(self.topic, 0): window}, {}, at=dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
        self.batch.seed = bytes(32)

    def decide(self, raw: bytes) -> int:
        """Nanoseconds of processor time that one event took."""
        for records in self.batch.outputs.values():
            records.clear()
        begun = time.thread_time_ns()
        self.batch.add(self.topic, 0, RawBatch(raw, from_offset=0), 1)
        return time.thread_time_ns() - begun

    @property
    def last(self) -> tuple[bytes, dict[Any, bytes]]:
        """The last event's audit entry, and what it came to."""
        entry = self.batch.decided[self.topic, 0].entries[-1]
        return entry, {place: records[0] for place, records in self.batch.outputs.items() if records}


def _warm(plans: Plans, first: bytes) -> _Lane:
    """A lane that has decided an event before, as lanes have."""
    lane = _Lane(plans)
    lane.decide(first)
    return lane


def _plans() -> Plans:
    with tempfile.TemporaryDirectory(prefix="lintas-bench-") as folder:
        return Plans(compose(catalogue.write(Path(folder), [RELEASE]), numbering()), _KEYS)


def _events(plans: Plans, bodies: Sequence[bytes]) -> Iterator[bytes]:
    """Each body as the only record of a record batch, with an id and an offset of its own."""
    head = framing.frame(plans.snapshot.event_types[RELEASE.event_type].current.id, b"")
    for number, body in enumerate(bodies):
        headers = headers_of(number, f"hostile-{number}", RELEASE.event_type)
        raw = FilledBatch([content(key_of(number), head + body, headers)])._build()
        yield number.to_bytes(8, "big") + raw[8:]


def measure(payloads: int) -> None:
    """Decide ``payloads`` damaged payloads by plan and by the reference path, and write down what they cost.

    Raises:
        Failed: the two differ, or one costs more than it may.
    """
    plans, plain = _plans(), _plans()
    for plan in plain.by_topic.values():
        plan.readings = {}
    codec = Codec(plans.snapshot.event_types[RELEASE.event_type].current.schema)
    chance = random.Random(20_261_125)
    good = [codec.encode(data_of(number)) for number in range(GOOD)]
    lane, reference, calm = _Lane(plans), _Lane(plain), _Lane(plans)
    usual = statistics.median([calm.decide(raw) for raw in _events(plans, good)][GOOD // 2 :])
    first = next(_events(plans, good))
    bodies = [mutated(chance.choice(good), chance) for _ in range(payloads)]
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for raw in _events(plans, bodies):
        spent = lane.decide(raw)
        reference.decide(raw)
        if lane.last != reference.last:
            raise Failed("a payload was decided otherwise than by the reference path")
        outcomes[_outcome(lane.last[0])] += 1
        if spent > SUSPECT * usual:
            spent = min(spent, *(_warm(plans, first).decide(raw) for _ in range(AGAIN)))
        slowest = max(slowest, spent / usual)
    text = (
        f"**Hostile payloads**: {payloads:,} payloads of job C with bits flipped, cut short or with hostile lengths. "
        f"Plan and reference path agree on every one: {outcomes['released']:,} released, {outcomes['malformed']:,} "
        f"malformed. A good event takes {usual / 1000:,.0f} us alone in its record batch; the slowest hostile one "
        f"{slowest:.1f} times as long, with its letter in quarantine. {_memory(plans, codec, chance)}\n\n{moment()}"
    )
    report.write_section("hostile", text)
    print(text)


def _outcome(entry: bytes) -> str:
    _, at = read_varint(entry, 0, 64)  # the offset
    _, at = read_varint(entry, at, 64)  # the time
    return _OUTCOMES[entry[at : at + 1]]


def _memory(plans: Plans, codec: Codec, chance: random.Random) -> str:
    """What the walk takes at most."""
    reading = next(iter(next(iter(plans.by_topic.values())).readings.values()))
    large = codec.encode({**data_of(0), "remarks": data_of(0)["remarks"] * LARGE})
    peaks = {body: _peak(reading.walk, body) for body in (large, *(mutated(large, chance) for _ in range(5_000)))}
    times = max(peak / len(body) for body, peak in peaks.items() if len(body) >= SMALL)
    return (
        f"Of payloads of {len(large):,} bytes, damaged alike, the walk took at most {times:.1f} times the size of any "
        f"of {SMALL} bytes and more, and {max(peaks.values()):,} bytes in all."
    )


def _peak(walk: Walk, body: bytes) -> int:
    tracemalloc.start()
    try:
        walk(body, 0, len(body))
    except DECLINES:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak
