"""The peers as contenders: each is a program that is handed its work in a file."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.catalogue import agreement_of
from bench.contender import Contender, Pace
from bench.jobs import PARTITIONS, PSEUDONYM, Desk, Job
from bench.stage import Stage
from bench.work import Inbox, Work
from lintas import names
from lintas.credentials import load
from lintas.local import jre
from schemas.cluster import TIMEOUT_SECONDS, options
from schemas.desired import Topic

ROOT: Final = Path(__file__).parents[2]
JAVA_FOLDER: Final = ROOT / "bench" / "peers" / "kafka-streams"
BUILD_SECONDS: Final = 600.0
OWN_PYTHON: Final = ROOT / "bench" / ".venv" / "bin" / "python"


class Program(Contender):
    """A peer: a command that takes the file of its work as last argument."""

    def __init__(self, name: str, command: Sequence[str], *, share: float, caveat: str, audits_each: bool) -> None:
        """See :class:`Contender`; ``command`` is run in the root of the repository."""
        self.name = name
        self.share = share
        self.caveat = caveat
        self.audits_each = audits_each
        self._command = command
        self._slug = name.lower().replace(" ", "-")
        self._runs = 0
        self._key = secrets.token_hex(32)

    def lacks(self) -> str | None:
        """Whether its interpreter is there."""
        return None if Path(self._command[0]).exists() else f"{self._command[0]} is missing: make bench installs it"

    def prepare(self, stage: Stage, job: Job) -> None:
        """Create its topics, kept and stamped as ours are."""
        config = {"message.timestamp.type": "LogAppendTime"}
        wanted = [self.audit(job), *(self.inbox(job, desk) for desk in job.desks)]
        stage.cluster.create_topics([Topic(topic, PARTITIONS, config) for topic in wanted])
        stage.wait_for(wanted)

    def group(self, job: Job) -> str:
        """A new one for each run: members of an earlier one may not have been forgotten yet."""
        return f"{self._stem(job)}.{self._runs}"

    def inbox(self, job: Job, desk: Desk) -> str:
        """A topic of its own for each consumer."""
        return f"{self._stem(job)}.{desk.name}"

    def audit(self, job: Job) -> str:
        """A topic of its own."""
        return f"{self._stem(job)}.audit"

    def rewind(self, stage: Stage, job: Job, events: int) -> None:
        """Commit for a new group the places that leave just ``events`` to do."""
        self._runs += 1
        partitions = stage.partitions(job)
        each = events // len(partitions)
        places = [TopicPartition(*at, end - each) for at, end in stage.cluster.ends(partitions).items()]
        admin = AdminClient(options(stage.settings))
        changed = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group(job), places)])
        changed[self.group(job)].result(TIMEOUT_SECONDS)

    def start(self, stage: Stage, job: Job, pace: Pace) -> Sequence[subprocess.Popen[bytes]]:
        """One process."""
        path = stage.folder / f"{self._stem(job)}.json"
        self._work(stage, job, pace).write(path)
        with stage.log(self.name).open("ab") as log:
            return [
                subprocess.Popen(
                    [*self._command, str(path)],
                    cwd=ROOT,
                    env={**os.environ, "TMPDIR": str(stage.folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            ]

    def _stem(self, job: Job) -> str:
        return f"bench.{self._slug}.{job.name.lower()}"

    def _work(self, stage: Stage, job: Job, pace: Pace) -> Work:
        admin = load(stage.settings, names.ADMIN)
        event_type = stage.snapshot.event_types[job.event_type]
        return Work(
            bootstrap=stage.settings.brokers,
            username=admin.principal,
            password=admin.password,
            group=self.group(job),
            source=event_type.topic,
            audit=self.audit(job),
            schema=event_type.current.schema,
            inboxes=[self._inbox(stage, job, desk) for desk in job.desks],
            commit_ms=pace.commit_ms,
        )

    def _inbox(self, stage: Stage, job: Job, desk: Desk) -> Inbox:
        released = stage.snapshot.agreements[agreement_of(job, desk)].released
        return Inbox(
            name=desk.name,
            topic=self.inbox(job, desk),
            region=desk.region,
            least_severity=desk.least_severity,
            schema=released.schema if desk.reduced else None,
            schema_id=released.id,
            pseudonyms=[field for field, rule in desk.release.items() if rule == PSEUDONYM],
            key=self._key,
        )


class KafkaStreams(Program):
    """Kafka Streams, built with Maven where the machine has a Java compiler, run on the Java of the brokers."""

    def __init__(self) -> None:
        """Nothing is built yet."""
        target = JAVA_FOLDER / "target"
        command = [str(jre.java()), "-Xms512m", "-Xmx512m", "-XX:+UseParallelGC"]
        super().__init__(
            "Kafka Streams",
            [*command, "-cp", f"{target}/peer.jar:{target}/lib/*", "bench.Peer"],
            share=1.0,
            caveat="",
            audits_each=True,
        )

    def lacks(self) -> str | None:
        """Build it; what stands in the way if that fails."""
        if missing := [tool for tool in ("mvn", "javac") if shutil.which(tool) is None]:
            return f"not built: this machine has no {' and no '.join(missing)} (a JDK 17 or newer and Maven are needed)"
        try:
            built = subprocess.run(
                ["mvn", "--quiet", "--batch-mode", "package"],
                cwd=JAVA_FOLDER,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not built: Maven did not end within {BUILD_SECONDS:.0f} s"
        errors = [line for line in built.stdout.splitlines() if "ERROR" in line]
        return None if built.returncode == 0 else f"not built: {errors[0] if errors else built.stderr.strip()}"


def peers() -> list[Program]:
    """Every peer."""
    return [
        KafkaStreams(),
        Program(
            "confluent-kafka loop",
            [sys.executable, "-m", "bench.peers.transactional_loop"],
            share=0.5,
            caveat="",
            audits_each=False,
        ),
        Program(
            "Faust agent",
            [sys.executable, "-m", "bench.peers.faust_agent"],
            share=0.05,
            caveat="at least once: Faust has no transaction over topics that it does not consume",
            audits_each=True,
        ),
        Program(
            "Quix Streams",
            [str(OWN_PYTHON), "-m", "bench.peers.quix_app"],
            share=0.1,
            caveat="",
            audits_each=True,
        ),
    ]
