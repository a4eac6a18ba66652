"""What Kafka and the other servers know of the bus, looked at every few seconds and shown as metrics."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterator
from typing import NoReturn

from prometheus_client import Metric
from prometheus_client.registry import Collector

from lintas.errors import BusUnavailable, LintasError
from lintas.settings import Settings
from monitoring.endpoints import Health, Pulse
from monitoring.families import Families
from monitoring.servers import answering
from monitoring.sight import Looker
from monitoring.sight_metrics import ALWAYS, shown

log = logging.getLogger(__name__)

LONGEST_ROUND_SECONDS = 300.0  # the first reads every letter that ever could not be delivered


class Exporter(Collector):
    """Looks round after round; a scrape is answered from the last complete one and asks nobody.

    Attributes:
        health: whether the rounds come, and whether the last one was complete.
    """

    def __init__(self, settings: Settings, every_seconds: float) -> None:
        """``every_seconds``: from the beginning of one round to that of the next."""
        self._settings, self._every = settings, every_seconds
        self._looker = Looker(settings)
        self._pulse = Pulse("the exporter's round", LONGEST_ROUND_SECONDS + every_seconds)
        self._wrong = "no round is complete yet"
        self._complete: Families | None = None
        self._answers = {"kafka": False}
        self.health = Health(self._pulse.check, lambda: self._wrong, self._startup)

    def _startup(self) -> str:
        return "" if self._complete is not None else self._wrong

    async def run(self) -> NoReturn:
        """Rounds, for ever."""
        try:
            while True:
                began = time.monotonic()
                await self.round()
                await asyncio.sleep(max(0.0, began + self._every - time.monotonic()))
        finally:
            await self._looker.close()

    async def round(self) -> None:
        """One round; where Kafka is away, what was seen before stays and is said to be old."""
        began, clock = dt.datetime.now(dt.UTC), time.monotonic()
        servers = asyncio.create_task(asyncio.to_thread(lambda: dict(answering(self._settings))))
        try:
            sight = await self._looker.look()
        except LintasError as error:
            self._fail(error)
        else:
            self._complete = await asyncio.to_thread(
                shown,
                sight,
                began=began,
                seconds=time.monotonic() - clock,
                min_insync=self._settings.min_insync_replicas,
            )
            if self._wrong:
                log.info("a round is complete")
            self._wrong, self._answers["kafka"] = "", True
        self._answers |= await servers
        self._pulse.beat()

    def _fail(self, error: LintasError) -> None:
        what, *_ = str(error).splitlines()
        if what != self._wrong:
            log.warning("no round: %s", what)
        self._wrong, self._answers["kafka"] = what, not isinstance(error, BusUnavailable)

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        always = Families(*ALWAYS)
        always.add("lintas_exporter_up", not self._wrong)
        for part, answers in self._answers.items():
            always.add("lintas_part_up", answers, part=part)
        yield from always
        yield from self._complete or ()
