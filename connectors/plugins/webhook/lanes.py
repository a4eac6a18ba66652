"""Events that are not delivered yet, in a lane for each key: what is tried next, what waits, what is given up.

Nothing here does I/O, and nothing here holds an event: pointers into the inbox only.
"""

import hashlib
import heapq
from collections import deque
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from connectors.runtime.contract import Progress
from connectors.runtime.undelivered import DISCARD, REDELIVER, UNDELIVERED, WAITING

_KEY_DIGITS: Final = 5

LaneKey = tuple[int, str]


@dataclass(slots=True)
class Pointer:
    """Where in the inbox an event stands that is not delivered yet, and what became of it so far.

    Attributes:
        partition: of the inbox.
        offset: in the partition.
        key: a digest of the event's key, so short (20 bits) that nobody finds the key by it; two keys that share one
            wait for each other, which costs time and nothing else.
        attempts: that failed.
        first_failed_ms: when the first did.
        behind_since_ms: since when it has waited behind others of its key, none of which was taken.
        next_ms: when to try again.
        reason: why the last one failed, a word.
        status: its HTTP status.
    """

    partition: int
    offset: int
    key: str
    attempts: int = 0
    first_failed_ms: int | None = None
    behind_since_ms: int | None = None
    next_ms: int = 0
    reason: str | None = None
    status: int | None = None

    @property
    def place(self) -> str:
        """``partition/offset``, as names in the progress have it."""
        return f"{self.partition}/{self.offset}"

    @property
    def lane(self) -> LaneKey:
        """Which events it stays in order with."""
        return self.partition, self.key

    @classmethod
    def read(cls, place: str, value: dict[str, Any]) -> Self:
        """Read what `told` wrote under a name that ends in ``place``."""
        partition, offset = map(int, place.split("/"))
        known = {field.name for field in fields(cls)}
        return cls(partition, offset, **{name: told for name, told in value.items() if name in known})

    def told(self) -> dict[str, Any]:
        """For the progress: what has a name of its own there, or says nothing, is left out."""
        said = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return {name: value for name, value in said.items() if value not in (None, 0)}


def key_digest(key: bytes | None, offset: int) -> str:
    """The `Pointer.key` of an event's key; an event without one is in order with no other."""
    return f"@{offset}" if key is None else hashlib.sha256(key).hexdigest()[:_KEY_DIGITS]


class Lanes:
    """Every pointer, and what has changed since somebody last asked."""

    def __init__(self, progress: Progress, now_ms: int) -> None:
        """Go on from what earlier lives wrote; what people redeliver is due at once, what they discard is gone."""
        self._lanes: dict[LaneKey, deque[Pointer]] = {}
        self._busy: set[LaneKey] = set()
        self._new: set[str] = set()  # places of what was added since `put_off`
        self._fresh: deque[LaneKey] = deque()  # lanes whose first event is new
        self._later: list[tuple[int, LaneKey]] = []  # a heap of the others, by when; may hold what is past
        self._changes: dict[str, Any] = {}
        self._written: set[str] = set()  # names of WAITING that the progress holds
        self.undelivered = sum(name.startswith(UNDELIVERED) for name in progress)
        pointers = []
        for name, value in progress.items():
            if name.startswith(WAITING):
                self._written.add(name)
                pointers.append(Pointer.read(name.removeprefix(WAITING), value))
            elif name.startswith(REDELIVER):
                pointers += self._redelivered(name, progress, now_ms)
            elif name.startswith(DISCARD):
                self._forget(name, name.removeprefix(DISCARD), progress)
        for pointer in sorted(pointers, key=lambda one: (one.partition, one.offset)):
            self._lanes.setdefault(pointer.lane, deque()).append(pointer)
        self.waiting = len(pointers)
        for lane, queue in self._lanes.items():
            self._enqueue(lane, queue[0].next_ms)

    def add(self, pointer: Pointer, now_ms: int) -> None:
        """A new event, behind those of its key; one that waits already (the inbox is read again) stays as it is."""
        if WAITING + pointer.place in self._written:
            return
        self._new.add(pointer.place)
        if pointer.lane in self._lanes:
            pointer.behind_since_ms = now_ms
        else:
            self._fresh.append(pointer.lane)
        self._lanes.setdefault(pointer.lane, deque()).append(pointer)
        self._touch(pointer)
        self.waiting += 1

    def take(self, now_ms: int, *, retries: bool, early: bool = False) -> Pointer | None:
        """The next event to try, if one is due; nobody is given its lane until one says what became of it.

        New ones come last, if ``retries``, and those that are not due count as well, if ``early``; else only new ones
        are given.
        """
        lane = self._next_retry(now_ms, early=early) if retries else None
        if lane is None and self._fresh:
            lane = self._fresh.popleft()
        if lane is None:
            return None
        self._busy.add(lane)
        return self._lanes[lane][0]

    def has_fresh(self) -> bool:
        """Whether a new event could be tried."""
        return bool(self._fresh)

    def put_off(self, now_ms: int) -> None:
        """What is new is so no longer: it has its turn with those that are tried again."""
        self._new.clear()
        while self._fresh:
            self._enqueue(self._fresh.popleft(), now_ms)

    def due_ms(self) -> int | None:
        """When the next event that is not new is to be tried; None: none waits for that."""
        while self._later and not self._stands(*self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def delivered(self, pointer: Pointer, now_ms: int) -> None:
        """The receiver has it, or is to have it no longer; what is behind it has a whole day of its own."""
        self._leave(pointer, now_ms)
        if pointer.lane in self._lanes:
            self._lanes[pointer.lane][0].behind_since_ms = None

    def failed(self, pointer: Pointer, reason: str, status: int | None, now_ms: int) -> int:
        """An attempt failed; `wait` or `give_up` says what follows. Returns since when it has not been delivered."""
        pointer.attempts += 1
        pointer.reason, pointer.status = reason, status
        pointer.first_failed_ms = pointer.first_failed_ms or now_ms
        return pointer.behind_since_ms or pointer.first_failed_ms

    def wait(self, pointer: Pointer, next_ms: int) -> None:
        """Try it again then; what is behind it waits too."""
        self._touch(pointer)
        self._busy.discard(pointer.lane)
        self._enqueue(pointer.lane, next_ms)

    def give_up(self, pointer: Pointer, now_ms: int) -> None:
        """It is a person's now; what is behind it goes on."""
        self._changes[UNDELIVERED + pointer.place] = {**pointer.told(), "given_up_ms": now_ms}
        self.undelivered += 1
        self._leave(pointer, now_ms)

    def untried(self, pointer: Pointer) -> None:
        """It was taken and then not tried: it is due as before."""
        self._busy.discard(pointer.lane)
        self._enqueue(pointer.lane, pointer.next_ms)

    def wake(self, now_ms: int, within_ms: int) -> None:
        """The receiver is in order again: try what waits soon, spread over ``within_ms``."""
        idle = [lane for lane in self._lanes if lane not in self._busy and self._lanes[lane][0].attempts]
        for number, lane in enumerate(idle):
            soon_ms = now_ms + within_ms * number // len(idle)
            if soon_ms < self._lanes[lane][0].next_ms:
                self._enqueue(lane, soon_ms)

    def changes(self) -> dict[str, Any]:
        """What has changed in the progress since the last call."""
        changed, self._changes = self._changes, {}
        for name, value in changed.items():
            if name.startswith(WAITING):
                changed[name] = None if value is None else value.told()
                (self._written.discard if value is None else self._written.add)(name)
        return changed

    def _redelivered(self, name: str, progress: Progress, now_ms: int) -> list[Pointer]:
        """What a person wants redelivered, if it is still there."""
        place = name.removeprefix(REDELIVER)
        given_up = self._forget(name, place, progress)
        if given_up is None:
            return []
        again = Pointer.read(place, {"key": given_up["key"], "behind_since_ms": now_ms})
        self._touch(again)
        return [again]

    def _forget(self, wish: str, place: str, progress: Progress) -> Any:
        """Forget a person's wish, and what was given up, if it is still there; what was noted of that, or None."""
        self._changes[wish] = None
        noted = UNDELIVERED + place
        if noted not in progress or noted in self._changes:
            return None
        self._changes[noted] = None
        self.undelivered -= 1
        return progress[noted]

    def _enqueue(self, lane: LaneKey, next_ms: int) -> None:
        first = self._lanes[lane][0]
        if self._is_new(first):
            self._fresh.append(lane)
        else:
            first.next_ms = next_ms
            heapq.heappush(self._later, (next_ms, lane))

    def _is_new(self, pointer: Pointer) -> bool:
        return not pointer.attempts and pointer.place in self._new

    def _next_retry(self, now_ms: int, *, early: bool) -> LaneKey | None:
        due_ms = self.due_ms()
        return heapq.heappop(self._later)[1] if due_ms is not None and (early or due_ms <= now_ms) else None

    def _stands(self, when_ms: int, lane: LaneKey) -> bool:
        queue = self._lanes.get(lane)
        return bool(queue and lane not in self._busy and not self._is_new(queue[0]) and queue[0].next_ms == when_ms)

    def _leave(self, pointer: Pointer, now_ms: int) -> None:
        lane = self._lanes[pointer.lane]
        lane.popleft()
        self.waiting -= 1
        self._busy.discard(pointer.lane)
        name = WAITING + pointer.place
        if name in self._written:
            self._changes[name] = None
        else:
            self._changes.pop(name, None)
        if lane:
            self._enqueue(pointer.lane, now_ms)
        else:
            del self._lanes[pointer.lane]

    def _touch(self, pointer: Pointer) -> None:
        self._changes[WAITING + pointer.place] = pointer
