"""What operators and stewards do meanwhile: catalogues are applied, lanes are resized."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from numbered import INPUTS, catalogue

from lintas import names
from lintas.credentials import confluent_options
from lintas.errors import BusUnavailable, LintasError
from lintas.settings import Settings
from schemas.provision import apply
from streams.restore import lost_positions

ATTEMPTS = 8
RETRY_SECONDS = 2.0
LOOK_SECONDS = 5.0
TINY_BYTES = "100"


class Deployment:
    """The bus's catalogue and number of lanes, changed again and again; each change is tried until it is done.

    Attributes:
        lanes: how many there are.
        restored: how many positions were lost and set again.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._lock = asyncio.Lock()
        self._suspended = False
        self._refusing = 0
        self.restored = 0
        self.lanes = settings.lanes

    async def apply(self, *, toggle: bool = False, refusing: int = 0) -> None:
        """Apply a catalogue: suspend or resume `reduced`, add consumers whose inbox will refuse records."""
        async with self._lock:
            self._suspended ^= toggle
            self._refusing += refusing
            folder = self._settings.home / f"catalogue-{self._suspended}-{self._refusing}"
            wanted = await asyncio.to_thread(
                partial(catalogue, folder, suspended=self._suspended, refusing=self._refusing)
            )
            for attempt in range(ATTEMPTS):
                try:
                    await asyncio.to_thread(partial(apply, self._settings, wanted, author="chaos"))
                    break
                except LintasError:  # a broker is away; applying again is harmless
                    if attempt == ATTEMPTS - 1:
                        raise
                    await asyncio.sleep(RETRY_SECONDS)
            if refusing:
                await asyncio.to_thread(self._let_refuse, f"b.refusing-{self._refusing - 1}")

    def _let_refuse(self, consumer: str) -> None:
        admin = AdminClient({**confluent_options(self._settings, names.ADMIN), "log_level": 0})
        tiny = ConfigEntry("max.message.bytes", TINY_BYTES, incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(ResourceType.TOPIC, names.inbox_topic(consumer), incremental_configs=[tiny])
        for change in admin.incremental_alter_configs([topic]).values():
            change.result(30)

    async def resize(self, lanes: int) -> None:
        """`lintas lanes resize`, again until it is done: every step of it may be repeated."""
        async with self._lock:
            for attempt in range(ATTEMPTS):
                code, said = await asyncio.to_thread(self._lintas, "lanes", "resize", str(lanes))
                if code == 0:
                    self.lanes = lanes
                    return
                assert attempt < ATTEMPTS - 1, f"lintas lanes resize {lanes} failed for good:\n{said}"
                await asyncio.sleep(RETRY_SECONDS)

    async def look_after_positions(self) -> None:
        """Set lost positions again as an operator would, until cancelled.

        Brokers are told to forget positions soon, so that lanes must keep those of idle partitions alive; an outage as
        long as that loses them all, and then lanes must stop and ask for a person.
        """
        while True:
            with contextlib.suppress(BusUnavailable):
                if lost := await asyncio.to_thread(lost_positions, self._settings, INPUTS):
                    code, _ = await asyncio.to_thread(self._lintas, "lanes", "restore", "--all")
                    self.restored += len(lost) if code == 0 else 0
            await asyncio.sleep(LOOK_SECONDS)

    def _lintas(self, *arguments: str) -> tuple[int, str]:
        found = subprocess.run(
            [sys.executable, "-m", "lintas", *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return found.returncode, found.stdout + found.stderr


def write_addresses(settings: Settings, file: Path) -> None:
    """What programs of the operator find in the folder of the bus."""
    told = {"bootstrap_servers", "registry_url", "replication_factor", "min_insync_replicas", "lanes"}
    file.write_text(settings.model_dump_json(include=told))
