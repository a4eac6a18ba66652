"""Kafka's classes as Java has them once loaded, kept in the cache: a start takes half the time and processor.

Java calls it an ahead-of-time cache (JEP 483, 514). Java itself checks it against the class path and its own build,
and starts in the ordinary way if it does not fit.
"""

import asyncio
import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lintas.errors import LocalBusError
from lintas.local import jre, kafka, ports
from lintas.local.artefacts import Cache
from lintas.local.home import Home
from lintas.local.supervisor import Supervisor
from lintas.settings import Settings

_log = logging.getLogger(__name__)

_WRITING_SECONDS = 120.0  # Java writes it when it ends: 6 s here
_KEPT = 8  # every installation of Java needs its own, and several may be in use in turn


def archive_of(cache: Cache, jars: Sequence[Path]) -> Path:
    """Where the loaded classes of these jars lie, or will."""
    seen = [(str(jar), jar.stat().st_size, jar.stat().st_mtime_ns) for jar in jars]
    key = hashlib.sha256(repr((str(jre.java()), jre.java().stat().st_mtime_ns, seen)).encode()).hexdigest()
    return cache.folder / "warm" / f"kafka-{key[:16]}.aot"


def warm(cache: Cache, jars: Sequence[Path]) -> None:
    """Make the archive by running Kafka once on an empty folder, if it is not there: about 10 s, 65 MB.

    A bus starts without it just as well, only later: whatever goes wrong is logged and no more.
    """
    archive = archive_of(cache, jars)
    if archive.exists():
        return
    with cache.exclusive():
        if archive.exists():
            return
        archive.parent.mkdir(exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
                draft = Path(folder, "classes.aot")
                asyncio.run(_run_once(Path(folder, "bus"), jars, draft))
                draft.replace(archive)
            for old in sorted(archive.parent.glob("*.aot"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
                old.unlink()
        except (LocalBusError, OSError) as error:
            _log.warning("Kafka's classes could not be kept for quicker starts: %s", error)


async def _run_once(folder: Path, jars: Sequence[Path], archive: Path) -> None:
    home = Home.of(folder)
    home.make()
    with ports.Reservation() as reservation:
        chosen = ports.choose(home.ports, reservation)
        settings = Settings(home=home.path, bootstrap_servers=f"{ports.LOOPBACK}:{chosen.kafka}")
        part = kafka.part(home, settings, chosen, jars, overrides={}, fast_start=True)
        launcher, *arguments = part.argv
        supervisor = Supervisor(lambda _: None)
        try:
            await supervisor.start(
                [
                    dataclasses.replace(
                        part,
                        argv=(launcher, f"-XX:AOTCacheOutput={archive}", *arguments),
                        stop_seconds=_WRITING_SECONDS,
                    )
                ]
            )
        finally:
            await supervisor.close()
