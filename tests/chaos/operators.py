"""What stewards and operators do meanwhile, with the tools that they have: catalogues, lanes, lost positions."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import ThreeBrokers
from numbered import LATE, catalogue

from lintas import names
from lintas.settings import Settings

ATTEMPTS = 8
RETRY_SECONDS = 2.0
LOOK_SECONDS = 5.0
TINY_BYTES, USUAL_BYTES = 100, 2_097_152
RESUME_SECONDS = 120
REPLAY_SECONDS = 300.0
REPLAYED_TO = "b.all"
ALARM = b"has stopped: the committed position of"


class Deployment:
    """The bus's catalogue and number of lanes, changed again and again; each change is tried until it is done.

    Attributes:
        lanes: how many there are.
        generation: of the lanes.
        restored: how often `lintas lanes restore` was called for.
    """

    def __init__(self, cluster: ThreeBrokers, environment: Mapping[str, str], *, lanes: int) -> None:
        self._cluster = cluster
        self._environment = environment
        self._lock = asyncio.Lock()
        self._suspended = False
        self._refusing = 0
        self._late = 0
        self._replays: set[tuple[str, str]] = set()
        self._recovered: set[int] = set()
        self.restored = 0
        self.lanes = lanes
        self.generation = 1

    async def apply(self, *, toggle: bool = False, refusing: int = 0, late: int = 0) -> None:
        """Apply a catalogue: suspend or resume `reduced`, add consumers that refuse records or want their past."""
        async with self._lock:
            self._suspended ^= toggle
            self._refusing += refusing
            self._late += late
            folder = self._cluster.folder / f"catalogue-{self._suspended}-{self._refusing}-{self._late}"
            catalogue(folder, suspended=self._suspended, refusing=self._refusing, late=self._late)
            await self._lintas("catalogue", "apply", str(folder))
            for number in set(range(self._refusing)) - self._recovered:  # applying has mended them
                await asyncio.to_thread(self._limit, number, TINY_BYTES)

    async def recover(self) -> bool:
        """Let an inbox that refuses records take them again, and resume its agreement; whether there was one."""
        async with self._lock:
            number = min(set(range(self._refusing)) - self._recovered, default=None)
            if number is None:
                return False
            self._recovered.add(number)
            await asyncio.to_thread(self._limit, number, USUAL_BYTES)
            await self._lintas("agreement", "resume", f"refusing-{number}", "--no-wait")
        return True

    async def recover_all(self) -> None:
        """Let every inbox take records, and see every agreement get what waits for it."""
        while await self.recover():
            pass
        async with self._lock:
            for number in range(self._refusing):
                await self._lintas("agreement", "resume", f"refusing-{number}", "--timeout", str(RESUME_SECONDS))
            for number in range(self._late):  # there is nothing to mend, only to wait for
                await self._lintas("agreement", "resume", f"{LATE}{number}", "--timeout", str(RESUME_SECONDS))

    async def replay(self, since: dt.datetime, until: dt.datetime) -> None:
        """Give the consumer of everything a part of the past once more."""
        span = (since.isoformat(timespec="milliseconds"), until.isoformat(timespec="milliseconds"))
        async with self._lock:
            self._replays.add(span)
            await self._lintas("replay", REPLAYED_TO, "--from", span[0], "--to", span[1], "--no-wait")

    async def end_replays(self) -> None:
        """Return once every replay has ended."""
        deadline = time.monotonic() + REPLAY_SECONDS
        async with self._lock:
            while time.monotonic() < deadline:
                told = await self._lintas("replay", REPLAYED_TO, "-o", "json")
                if all(row["state"] == "done" for row in (json.loads(told) if self._replays else [])):
                    return
                await asyncio.sleep(RETRY_SECONDS)
        raise AssertionError(f"a replay has not ended after {REPLAY_SECONDS} s: {told}")

    def _limit(self, number: int, size: int) -> None:
        """Let the inbox of a refusing consumer take record batches of so many bytes."""
        entity = ["--entity-type", "topics", "--entity-name", names.inbox_topic(f"b.refusing-{number}")]
        change = ["--alter", *entity, "--add-config", f"max.message.bytes={size}"]
        self._cluster.tool("kafka.admin.ConfigCommand", *change, principal=names.ADMIN)

    async def resize(self, lanes: int) -> None:
        """Change the number of lanes."""
        async with self._lock:
            await self._lintas("lanes", "resize", str(lanes))
            self.lanes = lanes
            self.generation += 1

    async def look_after_positions(self, logs: Sequence[Path]) -> None:
        """Set lost positions again where a worker's log asks for it, until cancelled.

        Brokers are told to forget positions soon, so that lanes must keep those of idle partitions alive; an outage as
        long as that loses them all, and then lanes must stop and ask for a person.
        """
        read = dict.fromkeys(logs, 0)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = False
            for log, position in read.items():
                new = log.read_bytes()[position:]
                read[log] = position + len(new)
                asked |= ALARM in new
            if asked:
                await self._lintas("lanes", "restore", "--all")
                self.restored += 1

    async def _lintas(self, *arguments: str) -> str:
        """What a command prints; again until it is done: brokers may be away, and every command may be repeated."""
        for attempt in range(ATTEMPTS):
            code, said, complained = await asyncio.to_thread(self._try, arguments)
            if code == 0:
                break
            assert attempt < ATTEMPTS - 1, f"lintas {' '.join(arguments)} failed for good:\n{said}{complained}"
            await asyncio.sleep(RETRY_SECONDS)
        return said

    def _try(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        found = subprocess.run(
            [sys.executable, "-m", "lintas", *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return found.returncode, found.stdout, found.stderr


def write_addresses(settings: Settings, file: Path) -> None:
    """What programs of the operator find in the folder of the bus."""
    told = {"bootstrap_servers", "registry_url", "replication_factor", "min_insync_replicas", "lanes"}
    file.write_text(settings.model_dump_json(include=told))
