"""What a lane is given by the worker that runs it."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from lintas.settings import Settings
from streams.decide import Plans
from streams.observer import LaneObserver
from streams.pace import Pace
from streams.redrive_log import Redrives
from streams.replay_log import Replays

if TYPE_CHECKING:
    from streams.lane import Lane


@dataclasses.dataclass(frozen=True, slots=True)
class LaneDuties:
    """Shared by the lanes of one worker."""

    settings: Settings
    options: Mapping[str, Any]  # connection arguments for aiokafka
    worker: str
    generation: int
    lanes: int
    plans: Callable[[], Plans]  # the catalogue in force, compiled
    still_mine: Callable[["Lane"], Awaitable[bool]]  # asks the group before the lane fences others
    replaced: Callable[[], Awaitable[bool]]  # whether there is a newer generation, by all that was known when asked
    redrives: Callable[[], Redrives]  # which letters are to be given again
    replays: Callable[[], Replays]  # who is to be given events of the past once more
    turn: asyncio.Lock  # one lane decides at a time: the others' commits go on meanwhile
    pace: Pace  # of what is not live
    observer: LaneObserver
