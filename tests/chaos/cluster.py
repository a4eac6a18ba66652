"""Three real brokers and a registry that a test may kill, stop and start again, one by one."""

import asyncio
import contextlib
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from proxy import Proxy

from lintas.credentials import aiokafka_options, confluent_options
from lintas.local import jre, kafka, registry, warm
from lintas.local.artefacts import Cache, locked
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.ports import LOOPBACK, Ports, Reservation
from lintas.local.secret import secret
from lintas.local.spawn import launched
from lintas.settings import Settings

BROKERS = (1, 2, 3)
READY_SECONDS = 240.0
PORTS = range(20_000, 32_000)  # below the range from which systems take ports of outgoing connections


class Server:
    """One server process; it dies with the process that started it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it; call this from the main thread only, whose end is the server's end."""
        with self.part.log.open("ab") as log:
            self._process = subprocess.Popen(
                launched(self.part.argv, user=None, death_signal=signal.SIGKILL),
                env=dict(self.part.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def ready(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if await self.part.ready():
                    return
            assert self.running, f"{self.part.name} ended: see {self.part.log}"
            assert time.monotonic() < deadline, f"{self.part.name} does not serve: see {self.part.log}"
            await asyncio.sleep(0.1)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    async def ended(self, seconds: float) -> bool:
        """Whether it ends by itself within a time."""
        assert self._process is not None
        try:
            await asyncio.to_thread(self._process.wait, seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once and take note of its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def refuse_writes(self) -> None:
        """From now on its files cannot grow (EFBIG), as on a full disk; until it is started anew."""
        psutil.Process(self.pid).rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))


class ThreeBrokers:
    """A cluster: each node broker and controller, three copies of everything, two of which must acknowledge a write.

    Publishers, operator and oracle talk to the brokers themselves (``settings``); workers go through one proxy a broker
    (``worker_addresses``), which the brokers advertise on a listener of its own.
    """

    def __init__(self, folder: Path, *, fast_start: bool, overrides: dict[str, str]) -> None:
        self._reservation = Reservation()
        self._ports = {node: Ports(*self._claim(5)) for node in BROKERS}
        self.proxies = {node: Proxy(self._claim(1)[0], self._claim(1)[0]) for node in BROKERS}
        self.folder = folder
        self._home = Home.of(folder)
        self._home.make()
        first = self._ports[BROKERS[0]]
        self.settings = Settings(
            home=folder,
            bootstrap_servers=",".join(f"{LOOPBACK}:{ports.kafka}" for ports in self._ports.values()),
            registry_url=registry.url(first),
            replication_factor=3,
            min_insync_replicas=2,
        )
        self._cache = Cache()
        self._jars = self._cache.ensure(locked(kafka.NAME))
        program = self._cache.unpacked(locked(registry.NAME)[0])
        self._archives = warm.Archives.of(self._cache, self._jars, program)
        cluster_id = kafka.new_cluster_id()
        self.brokers = {node: Server(self._broker(node, cluster_id, overrides, fast_start)) for node in BROKERS}
        self.registry = Server(
            registry.part(self._home, first, program, fast_start=fast_start, archive=self._archives.registry)
        )

    def _claim(self, count: int) -> Sequence[int]:
        spare = iter(random.sample(PORTS, len(PORTS)))
        return [next(port for port in spare if self._reservation.claim(port)) for _ in range(count)]

    def _broker(self, node: int, cluster_id: str, overrides: dict[str, str], fast_start: bool) -> Part:
        home = Home.of(self.folder / f"broker-{node}")
        home.make()
        shared = self._home.secrets / "kafka-controller"
        secret(shared)
        shutil.copy(shared, home.secrets / "kafka-controller")
        ports, proxy = self._ports[node], self.proxies[node]
        mine = self.settings.model_copy(update={"bootstrap_servers": f"{LOOPBACK}:{ports.kafka}"})
        controller = f"CONTROLLER://{LOOPBACK}:{ports.kafka_controller}"
        client = f"CLIENT://{LOOPBACK}:{ports.kafka}"
        voters = ",".join(f"{each}@{LOOPBACK}:{at.kafka_controller}" for each, at in self._ports.items())
        properties = {
            "node.id": str(node),
            "controller.quorum.voters": voters,
            "listeners": f"{client},WORKERS://{LOOPBACK}:{proxy.target},{controller}",
            "advertised.listeners": f"{client},WORKERS://{LOOPBACK}:{proxy.port},{controller}",
            "listener.security.protocol.map": (
                "CLIENT:SASL_PLAINTEXT,WORKERS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
            ),
            "listener.name.workers.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "offsets.topic.replication.factor": "3",
            "transaction.state.log.replication.factor": "3",
            "transaction.state.log.min.isr": "2",
            "share.coordinator.state.topic.replication.factor": "3",
            "share.coordinator.state.topic.min.isr": "2",
            # a worker is given up, and a transaction abandoned, within seconds
            "group.min.session.timeout.ms": "1000",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            # another controller within seconds
            "controller.quorum.election.timeout.ms": "1000",
            "controller.quorum.fetch.timeout.ms": "2000",
            "replica.lag.time.max.ms": "5000",
            # little to read again after a kill, little disk for indices
            "log.segment.bytes": str(64 * 1024 * 1024),
            "log.index.size.max.bytes": str(1024 * 1024),
            "num.recovery.threads.per.data.dir": "2",
        }
        return kafka.part(
            home,
            mine,
            ports,
            self._jars,
            overrides=properties | overrides,
            fast_start=fast_start,
            archive=self._archives.kafka,
            cluster_id=cluster_id,
        )

    async def start(self) -> None:
        """Format the disks, start everything, wait until it serves."""
        for server in (*self.brokers.values(), self.registry):
            await asyncio.to_thread(server.part.prepare)
            server.spawn()
        await asyncio.gather(*(server.ready() for server in (*self.brokers.values(), self.registry)))
        for proxy in self.proxies.values():
            await proxy.start()

    async def stop(self) -> None:
        """End everything at once."""
        for server in (*self.brokers.values(), self.registry):
            server.kill()
        for proxy in self.proxies.values():
            await proxy.stop()
        self._reservation.close()

    @property
    def worker_addresses(self) -> str:
        """Bootstrap servers for workers."""
        return ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in self.proxies.values())

    def aiokafka(self, principal: str) -> dict[str, Any]:
        """Connection arguments that lead to the brokers themselves."""
        return aiokafka_options(self.settings, principal)

    def confluent(self, principal: str) -> dict[str, Any]:
        """Connection settings that lead to the brokers themselves."""
        return {**confluent_options(self.settings, principal), "log_level": 0}

    def tool(self, tool: str, *arguments: str, principal: str) -> str:
        """What one of Kafka's own command line tools prints; ``tool`` is its class."""
        command = [str(jre.java()), "-Xmx128m", *jre.FAST_START, "-cp", ":".join(map(str, self._jars)), tool]
        command += ["--bootstrap-server", self.settings.brokers]
        command += ["--command-config", str(self.settings.secrets / f"{principal}.properties"), *arguments]
        found = subprocess.run(command, env=jre.environment(), capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout
