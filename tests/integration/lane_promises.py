"""What lanes promise, held against what was published: exactly once, in order, and every decision recorded."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import lane_bus
from lane_bus import LINTAS_WORKER, Sent, Worker, decisions, inbox

from lintas.settings import Settings


class Workers:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.all: list[Worker] = []
        self._settings, self._folder = settings, folder

    def start(self, program: Sequence[str] = LINTAS_WORKER, **environment: str) -> Worker:
        worker = Worker(self._settings, self._folder / f"worker-{len(self.all)}.log", program, **environment)
        self.all.append(worker)
        return worker


def expected(sent: list[Sent]) -> tuple[list[int], list[int], Counter[str]]:
    """What consumer `all` gets, what consumer `even` gets, and how the events end."""
    good = [one.n for one in sent if one.kind in ("good", "nameless")]
    even = [one.n for one in sent if one.kind == "good" and one.n % 2 == 0]
    ends = Counter({"routed": len(good)})
    ends["duplicate"] = sum(one.kind == "repeat" for one in sent)
    ends["quarantined"] = sum(one.kind == "stranger" for one in sent)
    return good, even, ends


def assert_exactly_once(settings: Settings, sent: list[Sent]) -> None:
    good, even, ends = expected(sent)
    all_of_it, some_of_it = asyncio.run(inbox(settings, "b.all")), asyncio.run(inbox(settings, "b.even"))
    assert all_of_it.numbers == good
    assert some_of_it.numbers == even
    assert all_of_it.ordered
    assert some_of_it.ordered
    events, agreements = asyncio.run(decisions(settings))
    assert events == ends
    assert agreements["all", "delivered"] == len(good)
    assert agreements["even", "delivered"] == len(even)
    dead = asyncio.run(lane_bus.read(settings, "dead.b.even"))
    assert agreements["even", "dead"] == len(dead) == sum(one.kind == "nameless" and one.n % 2 == 0 for one in sent)
    assert agreements["even", "filtered"] + len(even) + len(dead) == len(good)
    assert len(asyncio.run(lane_bus.read(settings, "quarantine.a"))) == ends["quarantined"]
