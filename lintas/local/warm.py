"""The classes of Kafka and the registry as Java has them once loaded, kept in the cache: both start in half the time.

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
from lintas.local import jre, kafka, ports, registry
from lintas.local.artefacts import Cache
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.supervisor import Supervisor
from lintas.settings import Settings

_log = logging.getLogger(__name__)

_WRITING_SECONDS = 120.0  # Java writes it when it ends: 6 s here
_KEPT = 16  # every installation of Java needs its own two, and several may be in use in turn


@dataclasses.dataclass(frozen=True, slots=True)
class Archives:
    """Where loaded classes lie, or will."""

    kafka: Path
    registry: Path

    @classmethod
    def of(cls, cache: Cache, jars: Sequence[Path], program: Path) -> "Archives":
        """Those of Kafka's jars and of the registry in the folder ``program``."""
        return cls(_archive(cache, kafka.NAME, jars), _archive(cache, registry.NAME, [registry.start_jar(program)]))


def warm(cache: Cache, jars: Sequence[Path], program: Path) -> None:
    """Make the archives by running both once on an empty folder, if they are not there: about 15 s, 160 MB.

    A bus starts without them just as well, only later: whatever goes wrong is logged and no more.
    """
    archives = Archives.of(cache, jars, program)
    if archives.kafka.exists() and archives.registry.exists():
        return
    with cache.exclusive():
        if archives.kafka.exists() and archives.registry.exists():
            return
        archives.kafka.parent.mkdir(exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=archives.kafka.parent) as folder:
                drafts = Archives(Path(folder, "kafka.aot"), Path(folder, "registry.aot"))
                asyncio.run(_run_once(Path(folder, "bus"), jars, program, drafts))
                drafts.kafka.replace(archives.kafka)
                drafts.registry.replace(archives.registry)
            for old in sorted(archives.kafka.parent.glob("*.aot"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
                old.unlink()
        except (LocalBusError, OSError) as error:
            _log.warning("loaded classes could not be kept for quicker starts: %s", error)


async def _run_once(folder: Path, jars: Sequence[Path], program: Path, drafts: Archives) -> None:
    home = Home.of(folder)
    home.make()
    with ports.Reservation() as reservation:
        chosen = ports.choose(home.ports, reservation)
        settings = Settings(home=home.path, bootstrap_servers=f"{ports.LOOPBACK}:{chosen.kafka}")
        supervisor = Supervisor(lambda _: None)
        try:
            await supervisor.start(
                [
                    _writing(kafka.part(home, settings, chosen, jars, overrides={}, fast_start=True), drafts.kafka),
                    _writing(registry.part(home, chosen, program, fast_start=True), drafts.registry),
                ]
            )
        finally:
            await supervisor.close()


def _writing(part: Part, archive: Path) -> Part:
    launcher, *arguments = part.argv
    argv = (launcher, f"-XX:AOTCacheOutput={archive}", *arguments)
    return dataclasses.replace(part, argv=argv, stop_seconds=_WRITING_SECONDS)


def _archive(cache: Cache, name: str, jars: Sequence[Path]) -> Path:
    seen = [(str(jar), jar.stat().st_size, jar.stat().st_mtime_ns) for jar in jars]
    key = hashlib.sha256(repr((str(jre.java()), jre.java().stat().st_mtime_ns, seen)).encode()).hexdigest()
    return cache.folder / "warm" / f"{name}-{key[:16]}.aot"
