"""One bus on this machine: start it here or in the background, stop it, ask how it is."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pydantic import TypeAdapter

from lintas import errors
from lintas.credentials import write_private
from lintas.errors import BusNotRunning, LocalBusError, PartFailed
from lintas.local import kafka, logs, ports, postgres, programs, registry, state, warm
from lintas.local.artefacts import Cache, Progress, locked
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.programs import Program
from lintas.local.supervisor import Supervisor
from lintas.settings import Settings

_PORT_ATTEMPTS = 3
_STOP_SECONDS = 60.0
_ADDRESSES = ("bootstrap_servers", "registry_url", "postgres_dsn")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a local bus."""

    home: Path
    kafka_overrides: Mapping[str, str] = field(default_factory=dict)
    fast_start: bool = False
    programs: Sequence[Program] = ()


class LocalBus:
    """Kafka, schema registry, PostgreSQL and the bus's programs in one folder of this machine."""

    def __init__(
        self,
        home: Path,
        *,
        kafka_overrides: Mapping[str, str] | None = None,
        fast_start: bool = False,
        programs: Sequence[Program] = (),
    ) -> None:
        """Describe a bus; nothing is started or written.

        Args:
            home: folder of the bus.
            kafka_overrides: broker settings that replace or add to the usual ones.
            fast_start: servers start sooner and run slower, for tests.
            programs: what runs beside the servers; none by default.
        """
        self.home = Home.of(home)
        self._options = Options(self.home.path, kafka_overrides or {}, fast_start, tuple(programs))
        self._cache = Cache()
        self._background: subprocess.Popen[str] | None = None

    @classmethod
    def from_json(cls, text: str) -> "LocalBus":
        """The bus that another process described with :meth:`to_json`."""
        options = TypeAdapter(Options).validate_json(text)
        return cls(
            options.home,
            kafka_overrides=options.kafka_overrides,
            fast_start=options.fast_start,
            programs=options.programs,
        )

    def to_json(self) -> str:
        """This description, for another process."""
        return TypeAdapter(Options).dump_json(self._options).decode()

    def download(self, progress: Progress | None = None) -> None:
        """Bring the servers into the cache, ready to start; quick and without network when they are there.

        Raises:
            DownloadRefused: a file does not match its checksum.
            LocalBusError: a file could not be fetched.
        """
        self._cache.ensure([*locked(kafka.NAME), *locked(registry.NAME)], progress)
        program = self._cache.unpacked(locked(registry.NAME)[0])
        warm.warm(self._cache, self._cache.ensure(locked(kafka.NAME)), program)

    def run(self, ready: Callable[[Settings], None], *, until_input_ends: bool = False) -> signal.Signals | None:
        """Run the bus in this process until it is told to stop (SIGINT, SIGTERM, SIGHUP).

        Args:
            ready: called once, when everything runs.
            until_input_ends: also stop when standard input ends, that is when whoever holds it dies.

        Returns:
            the signal that stopped it.

        Raises:
            BusAlreadyRunning: another supervisor runs in this home.
            PartFailed: a part failed for good; everything is stopped.
        """
        self.home.make()
        with state.ownership(self.home):
            state.clean(self.home)
            shutil.rmtree(self.home.temporary)
            self.download()
            try:
                return asyncio.run(self._supervise(ready, until_input_ends=until_input_ends))
            finally:
                self.home.addresses.unlink(missing_ok=True)
                self.home.state.unlink(missing_ok=True)

    def start(self, *, outlive: bool = True) -> Settings:
        """Run the bus in a process of its own and return when everything runs.

        Args:
            outlive: whether the bus goes on when this process ends; if not, it stops however that happens.

        Raises:
            BusAlreadyRunning: another supervisor runs in this home.
            PartFailed: a part did not come up.
        """
        self.home.make()
        self.download()
        log = self.home.log("supervisor")
        logs.rotate(log)
        with log.open("a") as messages:
            supervisor = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "lintas.local",
                    self.to_json(),
                    *([] if outlive else ["--until-input-ends"]),
                ],
                stdin=subprocess.DEVNULL if outlive else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                start_new_session=True,
            )
        assert supervisor.stdout is not None
        try:
            with supervisor.stdout as answers:
                answer = answers.readline()
        except BaseException:  # Ctrl-C before it is up: nothing may stay behind
            supervisor.terminate()
            _reap(supervisor)
            raise
        if not answer:
            _reap(supervisor)
            raise LocalBusError(reason=f"the supervisor ended at once:\n{logs.tail(log)}", remedy=f"see {log}.")
        report: dict[str, Any] = json.loads(answer)
        if "error" in report:
            _reap(supervisor)
            raise getattr(errors, report["error"])(**report["details"])
        if self._background is not None:
            _reap(self._background)  # of an earlier start, and dead: the new one could not have started beside it
        self._background = supervisor
        return Settings(home=self.home.path)

    def stop(self) -> None:
        """Stop the bus, or what a killed supervisor left of it.

        Raises:
            BusNotRunning: there is nothing to stop.
        """
        found = state.read(self.home)
        supervisor = found.supervisor.process() if found and state.is_owned(self.home) else None
        if supervisor is not None:
            supervisor.send_signal(signal.SIGTERM)
            try:
                supervisor.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired:
                supervisor.kill()
                supervisor.wait(_STOP_SECONDS)
        if self._background is not None:
            _reap(self._background)
            self._background = None
        with state.ownership(self.home):
            cleaned = state.clean(self.home)
        if supervisor is None and not cleaned:
            raise BusNotRunning(home=self.home.path)

    def status(self) -> state.BusState:
        """What runs.

        Raises:
            BusNotRunning: no supervisor runs in this home.
        """
        found = state.read(self.home)
        if found is None or found.supervisor.process() is None:
            raise BusNotRunning(home=self.home.path)
        return found

    async def _supervise(self, ready: Callable[[Settings], None], *, until_input_ends: bool) -> signal.Signals | None:
        me = psutil.Process()
        written = state.BusState(
            supervisor=state.Identity(pid=me.pid, created=me.create_time(), argv=tuple(me.cmdline())),
            phase="starting",
        )

        def changed(parts: list[state.PartState]) -> None:
            nonlocal written
            written = written.model_copy(update={"parts": parts})
            written.write(self.home)

        changed([])
        supervisor = Supervisor(changed)
        asked = _Stop(supervisor.kill, until_input_ends=until_input_ends)

        async def live() -> None:
            nonlocal written, supervisor
            with ports.Reservation() as reservation:
                for attempt in range(1, _PORT_ATTEMPTS + 1):
                    chosen = ports.choose(self.home.ports, reservation)
                    try:
                        settings = await self._start_servers(supervisor, chosen)
                        break
                    except PartFailed:
                        await supervisor.close()
                        reservation.close()
                        if attempt == _PORT_ATTEMPTS or all(map(ports.is_free, chosen.all())):
                            raise
                    supervisor = Supervisor(changed)
                    asked.kill = supervisor.kill
                await self._start_programs(supervisor, settings, chosen)
                written = written.model_copy(update={"phase": "running"})
                written.write(self.home)
                ready(settings)
                await supervisor.failure()

        life = asyncio.create_task(live())
        asking = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({life, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (life, asking):
                task.cancel()
            await asyncio.gather(life, asking, return_exceptions=True)
            await supervisor.close()
        if not life.cancelled():
            life.result()
        return asked.signal

    async def _start_servers(self, supervisor: Supervisor, chosen: ports.Ports) -> Settings:
        settings = Settings(
            home=self.home.path,
            bootstrap_servers=f"{ports.LOOPBACK}:{chosen.kafka}",
            registry_url=registry.url(chosen),
            postgres_dsn=postgres.dsn(self.home, chosen),
        )
        _readdress_credentials(settings)
        await supervisor.start(self._servers(settings, chosen))
        addresses = settings.model_dump_json(include=set(_ADDRESSES), indent=1)
        write_private(self.home.addresses, addresses + "\n")
        return settings

    def _servers(self, settings: Settings, chosen: ports.Ports) -> list[Part]:
        fast = self._options.fast_start
        jars = self._cache.ensure(locked(kafka.NAME))
        program = self._cache.unpacked(locked(registry.NAME)[0])
        overrides = self._options.kafka_overrides
        archives = warm.Archives.of(self._cache, jars, program)
        return [
            kafka.part(
                self.home,
                settings,
                chosen,
                jars,
                overrides=overrides,
                fast_start=fast,
                archive=archives.kafka,
            ),
            registry.part(self.home, chosen, program, fast_start=fast, archive=archives.registry),
            postgres.part(self.home, chosen),
        ]

    async def _start_programs(self, supervisor: Supervisor, settings: Settings, chosen: ports.Ports) -> None:
        if not self._options.programs:
            return
        from schemas.provision import ensure_bus  # noqa: PLC0415  needs the servers' clients, which are slow to import

        await asyncio.to_thread(ensure_bus, settings)
        programs.write_targets(self.home, self._options.programs, chosen)
        await supervisor.start(programs.part(self.home, program, chosen) for program in self._options.programs)


class _Stop:
    """Waits to be told to stop; told twice, everything is ended at once."""

    def __init__(self, kill: Callable[[], None], *, until_input_ends: bool) -> None:
        self.kill = kill
        self.signal: signal.Signals | None = None
        self._asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        if until_input_ends:
            loop.add_reader(sys.stdin, self._on_input)

    async def wait(self) -> None:
        await self._asked.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            self.kill()
        self.signal = number
        self._asked.set()

    def _on_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            asyncio.get_running_loop().remove_reader(sys.stdin)
            self._asked.set()


def _reap(supervisor: subprocess.Popen[str]) -> None:
    """Take note of the end of a supervisor that we started."""
    if supervisor.stdin is not None:
        supervisor.stdin.close()
    supervisor.wait(_STOP_SECONDS)


def _readdress_credentials(settings: Settings) -> None:
    """Bring the addresses in credentials files up to date: stock clients take the files as they are."""
    current = {"bootstrap.servers": settings.brokers, "schema.registry.url": settings.registry}
    for file in settings.secrets.glob("*.properties"):
        text = file.read_text()
        new = text
        for name, value in current.items():
            new = re.sub(rf"^{re.escape(name)}=.*$", f"{name}={value}", new, flags=re.MULTILINE)
        if new != text:
            write_private(file, new)
