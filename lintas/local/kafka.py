"""Apache Kafka as one node: broker and controller in one process, passwords and ACLs from the first start."""

import base64
import contextlib
import logging
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from lintas import credentials, names
from lintas.errors import LocalBusError
from lintas.local import jre
from lintas.local.home import Home
from lintas.local.part import Part
from lintas.local.ports import LOOPBACK, Ports
from lintas.local.secret import secret
from lintas.settings import Settings

NAME = "kafka"
_HEAP_MB = 512
_CONTROLLER = "controller"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"

_LOG4J = """\
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c{1}: %m%n
# thousands of lines of settings at each start
logger.values.name=org.apache.kafka.common.config
logger.values.level=warn
logger.kafkavalues.name=kafka.server.KafkaConfig
logger.kafkavalues.level=warn
"""


def part(
    home: Home,
    settings: Settings,
    ports: Ports,
    jars: Sequence[Path],
    *,
    overrides: Mapping[str, str],
    fast_start: bool,
    archive: Path | None = None,
    cluster_id: str | None = None,
) -> Part:
    """Kafka, to be run in ``home``.

    Args:
        home: folder of the bus.
        settings: where the administrator's credentials are.
        ports: where it listens: clients, and its own controller.
        jars: the class path.
        overrides: broker settings that replace or add to ours.
        fast_start: start sooner, run slower.
        archive: where its loaded classes are kept, see ``warm``; it need not be there.
        cluster_id: of a cluster of several nodes, whose controllers ``overrides`` name; None: this node is alone.
    """
    config, data, draft = home.config(NAME), home.data(NAME), home.path / "data" / "kafka-draft"
    log4j, properties = config / "log4j2.properties", config / "server.properties"
    formatted = data / "meta.properties"
    if formatted.exists() and not credentials.path_of(settings, names.ADMIN).exists():
        raise LocalBusError(
            reason=f"{data} holds Kafka's data, but {credentials.path_of(settings, names.ADMIN)} is gone, "
            "and with it the administrator's password",
            remedy="put the file back from a backup, or remove the folder of the bus to start from nothing.",
        )
    admin = credentials.create(settings, names.ADMIN)
    controller = secret(home.secrets / "kafka-controller")
    log4j.write_text(_LOG4J)
    values = _properties(ports, admin.password, controller) | dict(overrides)
    _write(properties, values | {"log.dirs": str(data)})

    machine = [
        "-cp",
        ":".join(map(str, jars)),
        f"-Dlog4j2.configurationFile={log4j}",
        *jre.options(_HEAP_MB, home.temporary, fast_start=fast_start, archive=archive),
    ]
    log = home.log(NAME)

    def format_disk() -> None:
        if formatted.exists():
            return
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        arguments, draft_properties = config / "format.args", config / "format.properties"
        _write(draft_properties, values | {"log.dirs": str(draft)})
        scram = f"{credentials.SASL_MECHANISM}=[name={admin.principal},password={admin.password}]"
        alone = [] if cluster_id else ["--standalone"]
        tool = ["kafka.tools.StorageTool", "format", *alone, "--cluster-id", cluster_id or new_cluster_id()]
        tool += ["--config", str(draft_properties), "--add-scram", scram]
        command = jre.command(arguments, [*machine, *jre.FAST_START, *tool])
        try:
            with log.open("a") as errors:  # its ordinary output shows what is stored of the password
                subprocess.run(
                    command,
                    env=jre.environment(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    timeout=60,
                    check=True,
                )
        finally:
            arguments.unlink()
            draft_properties.unlink()
        draft.rename(data)  # whole or not at all

    return Part(
        name=NAME,
        argv=jre.command(config / "java.args", [*machine, "kafka.Kafka", str(properties)]),
        env=jre.environment(),
        log=log,
        port=ports.kafka,
        prepare=format_disk,
        ready=lambda: _ready(settings),
    )


async def _ready(settings: Settings) -> bool:
    """Whether the administrator can log in and sees the broker."""
    admin = AIOKafkaAdminClient(request_timeout_ms=2_000, **credentials.aiokafka_options(settings, names.ADMIN))
    try:
        with _unheard():
            await admin.start()
            cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Have aiokafka say nothing of brokers that are not there yet: they are asked again until they answer."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def new_cluster_id() -> str:
    """A random id as Kafka makes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "0")


def _write(file: Path, properties: Mapping[str, str]) -> None:
    credentials.write_private(file, "".join(f"{name}={value}\n" for name, value in properties.items()))


def _properties(ports: Ports, admin_password: str, controller_password: str) -> dict[str, str]:
    controller = f"{LOOPBACK}:{ports.kafka_controller}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": controller,
        "listeners": f"CLIENT://{LOOPBACK}:{ports.kafka},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{LOOPBACK}:{ports.kafka},CONTROLLER://{controller}",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": credentials.SASL_MECHANISM,
        "sasl.mechanism.inter.broker.protocol": credentials.SASL_MECHANISM,
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            f'{_SCRAM} required username="{names.ADMIN}" password="{admin_password}";'
        ),
        # the controller cannot look passwords up before it runs, so its listener has one fixed user
        "controller.listener.names": "CONTROLLER",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{_PLAIN} required username="{_CONTROLLER}" password="{controller_password}" '
            f'user_{_CONTROLLER}="{controller_password}";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{names.ADMIN};User:{_CONTROLLER}",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # after a kill the controller refuses the new broker until the old one's session has ended (else 9 s)
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # one node: no copies, and few partitions of its own topics so that it starts and recovers fast
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    }
