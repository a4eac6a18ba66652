"""What became of dead letters and quarantined events at a person's word: redriven or discarded. Pure.

The log on ``lintas.redrives`` is append-only and its order decides: a letter belongs to the first request that names
it, so a request that is repeated, or two at once, change nothing. A letter that fails again is another letter.
"""

import dataclasses
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from lintas import names
from streams.letters import Letter
from streams.slots import Done, Slot

log = logging.getLogger(__name__)

MOST_LETTERS: Final = 50_000  # in one record of the log
REDRIVE, DISCARD = "redrive", "discard"


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """What a person decided about a letter."""

    kind: str  # redrive or discard
    author: str
    at: str  # ISO 8601
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What one request leaves to do for one slot."""

    number: int  # the request's offset in the log
    topic: str  # of the letters
    letters: Sequence[int]  # their offsets, in the order in which their events were published


class Redrives:
    """The log as read so far."""

    def __init__(self) -> None:
        self._fates: defaultdict[str, dict[int, Fate]] = defaultdict(dict)
        self._tasks: defaultdict[Slot, list[Task]] = defaultdict(list)

    def add(self, number: int, key: bytes, value: bytes | None) -> None:
        """Take in the next record of the log; ``number`` is its offset. One that is no request asks for nothing."""
        try:
            topic, request = key.decode(), json.loads(value or b"")
            fate = Fate(request["kind"], request["author"], request["at"], request["reason"])
            letters = {_slot(slot): list(map(int, offsets)) for slot, offsets in request["letters"]}
        except Exception:  # noqa: BLE001  whatever it is, lanes must go on
            log.critical("record %d of %s is no request; nothing is done about it", number, names.REDRIVES)
            return
        fates = self._fates[topic]
        for slot, offsets in letters.items():
            mine = [offset for offset in offsets if offset not in fates]
            fates.update(dict.fromkeys(mine, fate))
            if mine and fate.kind == REDRIVE:
                self._tasks[slot].append(Task(number, topic, mine))

    def fate(self, topic: str, offset: int) -> Fate | None:
        """What was decided about a letter; None: nothing yet."""
        return self._fates[topic].get(offset)

    def given(self, slot: Slot, done: Done) -> set[int]:
        """The letters of a slot that have been done."""
        return {
            letter
            for task in self._tasks.get(slot, ())
            for letter in task.letters[: len(task.letters) if task.number < done.number else done.letters]
            if task.number <= done.number
        }

    def tasks(self, slot: Slot, done: Done) -> Iterator[tuple[Task, int]]:
        """What is left for a slot, in the order of the log: each task, and how many of its letters are done."""
        for task in self._tasks.get(slot, ()):
            if task.number > done.number:
                yield task, 0
            elif task.number == done.number and done.letters < len(task.letters):
                yield task, done.letters

    def slots(self) -> Iterable[Slot]:
        """The slots that ever had a task."""
        return self._tasks.keys()


def requests(letters: Iterable[Letter], fate: Fate) -> Iterator[tuple[bytes, bytes]]:
    """The records that decide about some letters of one topic, as few as there can be."""
    ordered = sorted(letters, key=lambda one: (one.slot, one.event.offset, one.offset))
    for start in range(0, len(ordered), MOST_LETTERS):
        part = ordered[start : start + MOST_LETTERS]
        by_slot: defaultdict[Slot, list[int]] = defaultdict(list)
        for letter in part:
            by_slot[letter.slot].append(letter.offset)
        (topic,) = {letter.topic for letter in part}
        body: dict[str, Any] = {
            **dataclasses.asdict(fate),
            "letters": [[_text(slot), of] for slot, of in by_slot.items()],
        }
        yield topic.encode(), json.dumps(body).encode()


def _text(slot: Slot) -> str:
    return "/".join(map(str, slot))


def _slot(text: str) -> Slot:
    agreement, topic, partition = text.split("/")
    return agreement, topic, int(partition)
