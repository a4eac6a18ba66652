"""How far replays are, in the figures and words that people read."""

import dataclasses
import datetime as dt
import enum

from streams.replay import State
from streams.replay_log import DONE, GONE_ON, Replay, Replays


class Span(enum.StrEnum):
    """What can be wrong with a span of time."""

    NOT_PAST = "not_past"  # it does not begin at a moment at which events were published
    BACKWARDS = "backwards"  # it ends before it begins
    FUTURE = "future"  # it ends later than now


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far one agreement of a replay is; figures are None where later replays have taken the place of them.

    Attributes:
        agreement: its name.
        read: records read.
        delivered: events given.
        filtered: that do not concern the consumer.
        dead: that could not be given.
        state: in words.
    """

    agreement: str
    read: int | None
    delivered: int | None
    filtered: int | None
    dead: int | None
    state: str


def progress_of(replays: Replays, one: Replay, reached: State) -> list[Progress]:
    """How far each agreement is."""
    rows = []
    for agreement in one.request.agreements:
        slots = [now for slot, now in reached.items() if slot[0] == agreement]
        begun = [now for now in slots if now is not None]
        endings = {now.ended for now in begun if now.ended}
        ended = sum(bool(now.ended) for now in begun)
        if one.number in replays.cancelled:
            told = "cancelled"
        elif ended < len(slots):
            told = f"{ended} of {len(slots)} input partitions done"
        else:
            told = ", ".join(sorted(endings - {DONE})) or DONE
        counts = [(now.next - now.start, now.delivered, now.filtered, now.dead) for now in begun if now is not GONE_ON]
        is_known = len(counts) == len(begun)
        sums = [sum(column) for column in zip(*counts, strict=True)] if counts else [0, 0, 0, 0]
        read, delivered, filtered, dead = sums if is_known else [None] * 4
        rows.append(Progress(agreement, read, delivered, filtered, dead, told))
    return rows


def span_problem(since: dt.datetime, until: dt.datetime | None, now: dt.datetime) -> Span | None:
    """What is wrong with the span of time that a replay is asked for; None if nothing is."""
    if since.timestamp() < 0 or since > now:
        return Span.NOT_PAST
    if until is not None and until <= since:
        return Span.BACKWARDS
    if until is not None and until > now:
        return Span.FUTURE
    return None
