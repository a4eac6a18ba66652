"""What was decided of one input partition's events in one batch, counted for those who watch.

Counting must cost live events next to nothing: the lane notes once for each event *who was left out*, as bits, and the
sums by agreement are made of that once for each batch.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schemas.wire import trace_context


class Served(NamedTuple):
    """How many events of one time of publication were decided alike for one agreement."""

    published_ms: int
    agreement: int  # its number among those on the event type
    outcome: str


class Tally:
    """Counts of one input partition in one batch.

    Attributes:
        groups: of events decided by field span, in order: the time of publication, and how many left out whom. Bit i
            is set for an agreement i that they do not concern; bit n + i, of n agreements, for one that is counted in
            ``served`` instead.
        served: decisions that were made one by one.
        routed: events decided one by one that were for somebody to be given.
        repeats: events dropped as repeats.
        quarantined: events that no one can be given, by stage.
        letters: dead letters written, by the agreement's number and stage.
        size: bytes of the events as they lie in record batches.
        parent: traceparent of one of the events, if its publisher named a trace and the event type is not personal.
    """

    __slots__ = ("groups", "letters", "parent", "quarantined", "repeats", "routed", "served", "size")

    def __init__(self) -> None:
        self.groups: list[tuple[int, defaultdict[int, int]]] = []
        self.served: Counter[Served] = Counter()
        self.routed = self.repeats = self.size = 0
        self.parent = ""
        self.quarantined: Counter[str] = Counter()
        self.letters: Counter[tuple[int, str]] = Counter()

    @property
    def trace_id(self) -> str:
        """The trace of that event; empty if there is none."""
        return trace_context.trace_id(self.parent) if self.parent else ""

    def group(self, published_ms: int) -> defaultdict[int, int]:
        """Where events of one time of publication are to be noted; times come in order, or nearly so."""
        if not self.groups or self.groups[-1][0] != published_ms:
            self.groups.append((published_ms, defaultdict(int)))
        return self.groups[-1][1]

    def events_routed(self) -> int:
        """How many events were neither repeats nor quarantined."""
        return self.routed + sum(sum(left_out.values()) for _, left_out in self.groups)


def given(left_out: Mapping[int, int], agreements: int) -> Iterator[tuple[int, int]]:
    """How many events each of ``agreements`` was given, and how many did not concern it; of one group or several."""
    total = sum(left_out.values())
    bits = times_set(left_out, 2 * agreements)
    for number in range(agreements):
        yield total - bits[number] - bits[agreements + number], bits[number]


def times_set(counts: Mapping[int, int], width: int) -> list[int]:
    """How often each of the lowest ``width`` bits is set in numbers that occur so often.

    Adds the numbers up as columns of binary digits, all bits at once: with hundreds of agreements, going through the
    bits one by one would cost more than deciding the events.
    """
    columns: list[int] = []  # bit i of columns[k] is digit k of the count of bit i
    for bits, count in counts.items():
        for digit in range(count.bit_length() if bits else 0):
            if count >> digit & 1:
                carry, at = bits, digit
                while carry:
                    if at >= len(columns):
                        columns.extend([0] * (at + 1 - len(columns)))
                    columns[at], carry = columns[at] ^ carry, columns[at] & carry
                    at += 1
    return [sum((column >> bit & 1) << digit for digit, column in enumerate(columns)) for bit in range(width)]
