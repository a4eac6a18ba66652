"""The production stack without Docker: brokers, database, registry and workers from docker-compose.yml's own files."""

import asyncio
import json
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from composed import REPOSITORY, Composed, Container, address, configuration, program
from stack_servers import BROKERS, broker, make_databases, postgres, postgres_binaries, registry, sql
from watched import missing_program, watching

from lintas.credentials import aiokafka_options
from lintas.settings import Settings

pytestmark = [
    pytest.mark.long,  # the gate has twenty minutes in all; what the files say is checked there (unit/test_deploy.py)
    pytest.mark.timeout(1_800),  # five servers are started for the first test, and each wait has its own deadline
    pytest.mark.skipif(
        postgres_binaries() is None or not shutil.which("docker-compose"),
        reason="needs docker-compose and a PostgreSQL with TLS (Debian's docker-compose and postgresql)",
    ),
]
DOMAIN = "bus.test"
EVENT_TYPE = "id.go.bmkg.earthquake.measured.v1"
TOPIC = "events.bmkg.earthquake.measured.v1"
CONSUMER = "bnpb.early-warning"
WATCHED_SPEED = 6  # how many times faster than by the clock rules and routing run


class Stack:
    """What runs."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.containers: dict[str, Container] = {}

    def lintas(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """A command of an operator, as `docker compose run --rm operator` runs it."""
        return subprocess.run(
            [sys.executable, "-m", "lintas", *arguments],
            env=self.composed.environment("operator"),
            cwd=self.composed.root("operator"),
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def settings(self, **different: Any) -> Settings:
        """What an operator's program is told, but for what is different."""
        environment = self.composed.environment("operator")
        told = {name.removeprefix("LINTAS_").lower(): value for name, value in environment.items() if "LINTAS_" in name}
        return Settings(**{name: value for name, value in told.items() if name in Settings.model_fields} | different)

    def books(self) -> dict[str, Any]:
        """What `lintas balance` says, which must be that nothing differs."""
        balance = self.lintas("balance", "-o", "json")
        assert balance.returncode == 0, balance.stdout + balance.stderr
        found: dict[str, Any] = json.loads(balance.stdout)
        return found


def small_catalogue(folder: Path) -> Path:
    """Of the example deployment all that concerns one event type; few topics, since each has three copies here."""
    source = REPOSITORY / "schemas/catalogue"
    shutil.copytree(source / "agencies", folder / "agencies")
    for kind, pattern in (("events", f"{EVENT_TYPE}.*"), ("agreements", "*.earthquake-measured*.yaml")):
        (folder / kind).mkdir()
        for file in (source / kind).glob(pattern):
            shutil.copy(file, folder / kind)
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything made and started in the order that the file says, waiting for each health check."""
    folder = tmp_path_factory.mktemp("stack")
    also = [word for number in range(1, 20) for word in ("--also", address(number))]
    made = subprocess.run(
        [sys.executable, "-m", "lintas", "stack", "secrets", str(folder / "secrets"), "--domain", DOMAIN, *also],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    catalogue = small_catalogue(folder / "catalogue")
    described = configuration(
        folder / "secrets/stack.env", LINTAS_CATALOGUE=str(catalogue), LINTAS_OIDC_ISSUER="https://login.test"
    )
    running = Stack(Composed(folder / "containers", described, DOMAIN))
    try:
        asyncio.run(start(running))
        yield running
    finally:
        for container in running.containers.values():
            container.kill()


async def start(stack: Stack) -> None:
    composed, containers = stack.composed, stack.containers
    for name in BROKERS:
        containers[name] = broker(composed, name)
        containers[name].start()
    containers["postgres"] = postgres(composed)
    containers["postgres"].start()
    await containers["postgres"].ready()
    make_databases(composed)
    containers["registry"] = registry(composed)
    containers["registry"].start()
    await asyncio.gather(*(containers[name].ready() for name in (*BROKERS, "registry")))
    composed.mount("catalogue")
    composed.mount("operator")
    applied = stack.lintas(*composed.command("catalogue"))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    for number in (1, 2):
        containers[f"worker-{number}"] = program(composed.replica("worker", number), "worker")
        containers[f"worker-{number}"].start()


def test_every_topic_has_three_copies_of_which_two_acknowledge(stack: Stack) -> None:
    async def look() -> tuple[list[dict[str, Any]], str]:
        admin = AIOKafkaAdminClient(**aiokafka_options(stack.settings(), "admin"))
        await admin.start()
        try:
            topics = await admin.describe_topics()
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
            configs = {entry[0]: entry[1] for resource in answer.resources for entry in resource[4]}
            return topics, configs["min.insync.replicas"]
        finally:
            await admin.close()

    topics, acknowledged = asyncio.run(look())
    assert TOPIC in {topic["topic"] for topic in topics}
    assert {len(partition["replicas"]) for topic in topics for partition in topic["partitions"]} == {3}
    assert acknowledged == "2"


def test_schemas_lie_in_the_database(stack: Stack) -> None:
    found = sql(stack.composed, "registry", "registry", "-c", "select count(*) from content")
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 3


def test_the_database_lets_a_role_into_its_own_database_only(stack: Stack) -> None:
    refused = sql(stack.composed, "lintas", "registry", "-c", "select 1")
    assert "no pg_hba.conf entry" in refused.stderr
    assert sql(stack.composed, "lintas", "lintas", "-c", "select 1").stdout.strip() == "1"


async def reads(options: dict[str, Any], topic: str) -> None:
    consumer = AIOKafkaConsumer(topic, **options, request_timeout_ms=5_000)
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getone(), 5)
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("different", "error"),
    [
        ({"security_protocol": "PLAINTEXT"}, KafkaError),  # neither password nor TLS
        ({"security_protocol": "SASL_PLAINTEXT"}, KafkaError),  # a password, and no TLS
        ({"sasl_plain_password": "wrong"}, KafkaError),
        ({"ssl_context": ssl.create_default_context()}, KafkaError),  # who trusts other authorities does not connect
    ],
)
async def test_who_is_not_known_or_not_over_tls_is_refused(
    different: dict[str, Any], error: type[Exception], stack: Stack
) -> None:
    with pytest.raises(error):
        await reads(aiokafka_options(stack.settings(), CONSUMER) | different, f"inbox.{CONSUMER}")


async def test_a_system_may_not_read_what_is_not_its_own(stack: Stack) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await reads(aiokafka_options(stack.settings(), CONSUMER), TOPIC)


@pytest.mark.parametrize("port", [9091, 9093])
def test_nobody_without_a_certificate_of_a_node_speaks_with_nodes(port: int, stack: Stack) -> None:
    """The port of the brokers among each other and that of the controllers ask for one."""
    secrets = stack.composed.root("kafka-1") / "run/secrets"
    node = [*("-cert", str(secrets / "node.pem")), *("-key", str(secrets / "node.pem"))]

    def speaks(*credentials: str) -> bool:
        place = f"{stack.composed.addresses['kafka-1']}:{port}"
        asked = subprocess.run(
            ["openssl", "s_client", "-connect", place, "-CAfile", str(secrets / "ca.pem"), "-quiet", *credentials],
            input="\n" * 8,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return "alert" not in asked.stderr

    assert not speaks()
    assert speaks(*node)


@asynccontextmanager
async def programs_that_watch(stack: Stack) -> AsyncIterator[list[Container]]:
    """Everything that is in the file beside servers and workers, healthy."""
    watching = [program(stack.composed, name) for name in ("exporter", "canary", "bookkeeper", "console")]
    for container in watching:
        container.start()
    try:
        workers = (stack.containers["worker-1"], stack.containers["worker-2"])
        await asyncio.gather(*(container.ready() for container in (*workers, *watching)))
        yield watching
    finally:
        for container in watching:
            container.kill()


async def test_every_program_says_that_it_does_its_work(stack: Stack) -> None:
    """As Docker asks it: over the port that Prometheus asks too, by the health check of the image."""
    async with programs_that_watch(stack):
        assert 'lintas_part_up{part="registry"} 1.0' in await metrics_of(stack.composed.environment("exporter"))
        assert 'lintas_part_up{part="postgres"} 1.0' in await metrics_of(stack.composed.environment("exporter"))


async def metrics_of(environment: Mapping[str, str]) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(environment["HEALTH_URL"].replace("/ready", "/metrics"))).text


class Traffic:
    """Earthquakes that the consumer is to get, published one after another until told to stop."""

    def __init__(self, stack: Stack, tag: str) -> None:
        self._stack, self._tag = stack, tag
        self.sent = 0
        self.stop = asyncio.Event()

    async def flow(self) -> None:
        """Publish through `lintas publish`, which ends with 0 only if every event was acknowledged."""
        publisher = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lintas", "publish", EVENT_TYPE, "-", "--as", "bmkg.inatews"),
            env=self._stack.composed.environment("operator"),
            cwd=self._stack.composed.root("operator"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert publisher.stdin is not None
        while not self.stop.is_set():
            for _ in range(20):
                self.sent += 1
                publisher.stdin.write(json.dumps(earthquake(f"{self._tag}-{self.sent}")).encode() + b"\n")
            await publisher.stdin.drain()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.stop.wait(), 0.1)
        publisher.stdin.close()  # Python 3.11 does not, where communicate is given nothing
        try:
            said, _ = await asyncio.wait_for(publisher.communicate(), 120)
        finally:
            if publisher.returncode is None:
                publisher.kill()
        assert publisher.returncode == 0, said.decode()

    def arrived(self, got: Counter[str], after: int = 0) -> int:
        """How many of its events have arrived that were sent after the first so many."""
        mine = [name for name in got if name.startswith(f"{self._tag}-")]
        return sum(int(name.rpartition("-")[2]) > after for name in mine)

    async def end(self, flowing: "asyncio.Task[None]", got: Counter[str]) -> None:
        """Stop, and see that each event has arrived, and just once."""
        self.stop.set()
        await flowing
        await until(lambda: self.arrived(got) == self.sent, f"{self.arrived(got)} of {self.sent} were delivered", 120)
        assert set(got.values()) == {1}


def earthquake(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "data": {
            "event_id": name,
            "origin_time": "2026-11-24T01:02:03.000Z",
            "latitude": -7.1,
            "longitude": 106.2,
            "depth_km": 10,
            "magnitude": "5.6",
            "magnitude_tenths": 56,
            "region": f"Region {hash(name) % 50}",
        },
    }


@asynccontextmanager
async def delivered(stack: Stack) -> AsyncIterator[Counter[str]]:
    """What the consumer has got, by id of the event, as it comes."""
    options = aiokafka_options(stack.settings(), CONSUMER)
    consumer = AIOKafkaConsumer(
        f"inbox.{CONSUMER}", **options, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    got: Counter[str] = Counter()

    async def read() -> None:
        async for record in consumer:
            got[dict(record.headers)["ce_id"].decode()] += 1

    await consumer.start()
    reading = asyncio.create_task(read())
    try:
        yield got
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await consumer.stop()


async def until(condition: Any, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


def published(stack: Stack) -> int:
    """How many earthquakes the books have, of which none differs."""
    counts = {one["event_type"]: one["published"] for one in stack.books()["event_types"]}
    return int(counts.get(EVENT_TYPE, 0))


async def test_a_broker_may_die_and_come_back_while_events_flow(stack: Stack) -> None:
    before, traffic = published(stack), Traffic(stack, "killed")
    async with delivered(stack) as got:
        flowing = asyncio.create_task(traffic.flow())
        await until(lambda: traffic.arrived(got) > 100, "nothing is delivered", 120)
        stack.containers["kafka-2"].kill()
        sent = traffic.sent
        await until(lambda: traffic.arrived(got, after=sent) > 100, "two of three do not go on", 120)
        stack.containers["kafka-2"].start()
        await stack.containers["kafka-2"].ready()
        await traffic.end(flowing, got)
    assert published(stack) == before + traffic.sent


@pytest.mark.skipif(bool(missing_program()), reason=f"{missing_program()} is not installed")
async def test_people_are_told_of_a_dead_broker_and_of_nothing_else(stack: Stack, tmp_path: Path) -> None:
    environments = {name: stack.composed.environment(name) for name in ("exporter", "canary", "bookkeeper", "console")}
    environments |= {
        f"worker-{number}": stack.composed.replica("worker", number).environment("worker") for number in (1, 2)
    }
    targets = tmp_path / "targets.json"
    targets.write_text(
        json.dumps(
            [
                {
                    "targets": [environment["HEALTH_URL"].removeprefix("http://").removesuffix("/ready")],
                    "labels": {"job": name.partition("-")[0]},
                }
                for name, environment in environments.items()
            ]
        )
    )
    traffic = Traffic(stack, "watched")
    async with programs_that_watch(stack), delivered(stack) as got:
        flowing = asyncio.create_task(traffic.flow())
        with watching(tmp_path, targets, speed=WATCHED_SPEED) as watched:
            await until(lambda: watched.value("count(up == 1)") == len(environments) + 2, "not all are scraped", 120)
            await until(lambda: watched.firing() == set(), f"{watched.firing()} before anything is broken", 300)
            since = len(watched.notified)
            stack.containers["kafka-2"].kill()
            await until(lambda: watched.told(since), f"people are told of nothing; {watched.firing()}", 300)
            await asyncio.sleep(360 / WATCHED_SPEED)
            assert watched.told(since) == {"LintasKafkaBrokerDown"}
        stack.containers["kafka-2"].start()
        await stack.containers["kafka-2"].ready()
        await traffic.end(flowing, got)


async def test_all_brokers_and_workers_may_be_restarted_one_by_one_while_events_flow(stack: Stack) -> None:
    """An upgrade: each is asked to stop, stops by itself, and is healthy before the next one is asked."""
    before, traffic = published(stack), Traffic(stack, "rolled")
    async with delivered(stack) as got:
        flowing = asyncio.create_task(traffic.flow())
        for name in (*BROKERS, "worker-1", "worker-2"):
            container = stack.containers[name]
            code = await container.stop(120)
            assert code in {0, -signal.SIGTERM, 128 + signal.SIGTERM}, f"{name} ended with {code}"
            container.start()
            await container.ready()
            sent = traffic.sent
            await until(lambda sent=sent: traffic.arrived(got, after=sent) > 100, f"nothing arrives after {name}", 120)
        await traffic.end(flowing, got)
    assert published(stack) == before + traffic.sent


def lose_and_put_back(disk: Path, copy: Path) -> None:
    subprocess.run(["cp", "-a", str(disk), str(copy)], check=True)
    shutil.rmtree(disk)
    subprocess.run(["cp", "-a", str(copy), str(disk)], check=True)


async def test_a_cold_copy_of_all_disks_brings_everything_back(stack: Stack, tmp_path: Path) -> None:
    """What docs/operations.md says of backups: all stop, disks are copied, lost, put back; nothing differs."""
    books, disks = stack.books(), (*BROKERS, "postgres")
    for name in ("worker-1", "worker-2", "registry", *disks):
        await stack.containers[name].stop(120)
    for name in disks:
        lose_and_put_back(stack.composed.root(name) / "data", tmp_path / name)
    for names in (disks, ("registry",), ("worker-1", "worker-2")):
        for name in names:
            stack.containers[name].start()
        await asyncio.gather(*(stack.containers[name].ready() for name in names))
    assert stack.books() == books
    traffic = Traffic(stack, "restored")
    async with delivered(stack) as got:
        flowing = asyncio.create_task(traffic.flow())
        await until(lambda: traffic.arrived(got) > 100, "nothing is delivered", 120)
        await traffic.end(flowing, got)
