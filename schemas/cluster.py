"""What exists on Kafka, and how to change it: topics, users, access rights, positions. Decides nothing."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from lintas import names
from lintas.credentials import Credentials, confluent_options
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.desired import Acl, Topic

TIMEOUT_SECONDS: Final = 30.0
DEAF_SECONDS: Final = 5.0  # while librdkafka waits for topics, no signal is heard
SETTLING_SECONDS: Final = 5.0  # until a partition has a leader that knows that it is one
UNSETTLED: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
SILENT: Final = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
MOST_RECORDS: Final = 2_000  # of one request to the controller, which refuses more than 10,000
SCRAM_ITERATIONS: Final = 4096  # passwords are long random texts: more rounds would only slow logging in
CLOSED_ITERATIONS: Final = SCRAM_ITERATIONS + 1  # marks a user who was deleted
_USER = "User:"
_UNHEARD = logging.getLogger("librdkafka")
_UNHEARD.addHandler(logging.NullHandler())
_UNHEARD.propagate = False
T = TypeVar("T")
_Item = TypeVar("_Item")
Partition = tuple[str, int]


def options(settings: Settings, principal: str = names.ADMIN) -> dict[str, Any]:
    """Connection settings of librdkafka whose complaints come as exceptions, and not on stderr as well."""
    return {**confluent_options(settings, principal), "log_level": 0, "logger": _UNHEARD}


def unavailable(settings: Settings, error: KafkaException) -> BusUnavailable:
    """The error to raise where Kafka failed."""
    cause = error.args[0]
    reason = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return BusUnavailable(part="Kafka", address=settings.brokers, reason=reason)


class Cluster:
    """Kafka as its administrator sees it. Every method raises BusUnavailable where Kafka refuses or is silent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(options(settings))
        self._readers: dict[tuple[str, bool], Consumer] = {}  # of the positions of a group

    def partitions(self) -> dict[str, int]:
        """The number of partitions of every topic."""
        return {name: len(topic.partitions) for name, topic in self.metadata().topics.items()}

    def metadata(self, seconds: float = TIMEOUT_SECONDS) -> ClusterMetadata:
        """Brokers, and every topic with the leader and the copies of its partitions; asked for so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._admin.list_topics(timeout=min(DEAF_SECONDS, seconds))
            except KafkaException as error:
                if time.monotonic() >= deadline or error.args[0].code() not in SILENT:
                    raise unavailable(self._settings, error) from error

    def configs(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        """The settings of some topics, inherited ones included."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        if not resources:
            return {}
        found = self._admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        return {
            resource.name: {name: entry.value for name, entry in self._result(future).items()}
            for resource, future in found.items()
        }

    def create_topics(self, topics: Iterable[Topic]) -> set[str]:
        """Create topics; returns those that somebody else had created meanwhile."""
        found = set()
        for portion in _portions(topics, lambda topic: 1 + topic.partitions + len(topic.config)):
            wanted = [
                NewTopic(topic.name, topic.partitions, self._settings.replication_factor, config=dict(topic.config))
                for topic in portion
            ]
            futures = self._admin.create_topics(wanted, operation_timeout=TIMEOUT_SECONDS)
            for name, future in futures.items():
                if not self._done(future, KafkaError.TOPIC_ALREADY_EXISTS):
                    found.add(name)
        return found

    def set_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set some of a topic's settings and leave the others."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([resource]).values():
            self._result(future)

    def delete_topics(self, topics: Iterable[str]) -> None:
        """Delete topics with all that they hold."""
        for portion in _portions(topics):
            futures = self._admin.delete_topics(portion, operation_timeout=TIMEOUT_SECONDS)
            for future in futures.values():
                self._done(future, KafkaError.UNKNOWN_TOPIC_OR_PART)

    def users(self) -> set[str]:
        """Everyone who can log in."""
        found = self._result(self._admin.describe_user_scram_credentials())
        return {
            name
            for name, user in found.items()
            if any(info.iterations != CLOSED_ITERATIONS for info in user.scram_credential_infos)
        }

    def create_user(self, credentials: Credentials) -> None:
        """Let a principal log in."""
        self._set_password(credentials.principal, credentials.password, SCRAM_ITERATIONS)

    def delete_user(self, principal: str) -> None:
        """Let a principal log in no more.

        The password is replaced by one that nobody knows, not removed: once a SCRAM credential has been removed, Kafka
        4.3.1 lets nobody log in after its next start (measured: docs/decisions/0006-users-are-closed.md).
        """
        self._set_password(principal, secrets.token_urlsafe(32), CLOSED_ITERATIONS)

    def _set_password(self, principal: str, password: str, iterations: int) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, iterations)
        change = UserScramCredentialUpsertion(principal, info, password.encode())
        for future in self._admin.alter_user_scram_credentials([change]).values():
            self._result(future)

    def acls(self) -> set[Acl]:
        """Every right that a user has, of whatever kind."""
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ALLOW
        )
        return {
            Acl(
                binding.principal.removeprefix(_USER),
                binding.operation.name,
                _resource_name(binding.restype),
                binding.name,
                binding.resource_pattern_type.name,
            )
            for binding in self._result(self._admin.describe_acls(everything))
        }

    def create_acls(self, acls: Iterable[Acl]) -> None:
        """Grant rights."""
        bindings = (
            AclBinding(
                _resource_type(acl.resource),
                acl.name,
                ResourcePatternType[acl.pattern],
                _USER + acl.principal,
                "*",
                AclOperation[acl.operation],
                AclPermissionType.ALLOW,
            )
            for acl in acls
        )
        for portion in _portions(bindings):
            for future in self._admin.create_acls(portion).values():
                self._result(future)

    def delete_acls(self, acls: Iterable[Acl]) -> None:
        """Withdraw rights."""
        filters = (
            AclBindingFilter(
                _resource_type(acl.resource),
                acl.name,
                ResourcePatternType[acl.pattern],
                _USER + acl.principal,
                None,
                AclOperation[acl.operation],
                AclPermissionType.ALLOW,
            )
            for acl in acls
        )
        for portion in _portions(filters):
            for future in self._admin.delete_acls(portion).values():
                self._result(future)

    def groups(self) -> list[str]:
        """Every consumer group."""
        return [group.group_id for group in self._result(self._admin.list_consumer_groups()).valid]

    def members(self, group: str) -> int:
        """How many members a consumer group has; none if there is no such group."""
        return self.members_of([group])[group]

    def members_of(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members some consumer groups have; none where there is no such group."""
        wanted = list(groups)
        if not wanted:
            return {}
        futures = self._admin.describe_consumer_groups(wanted, request_timeout=TIMEOUT_SECONDS)
        return {group: self._members(future) for group, future in futures.items()}

    def _members(self, future: "Future[Any]") -> int:
        try:
            return len(future.result(TIMEOUT_SECONDS).members)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise unavailable(self._settings, error) from error

    def committed(self, group: str, partitions: Iterable[Partition], *, stable: bool = False) -> dict[Partition, int]:
        """A group's positions; partitions without one are left out.

        Waits, if ``stable``, for open transactions that change a position.
        """
        wanted = [TopicPartition(*partition) for partition in partitions]
        if not wanted:
            return {}
        try:
            found = self._reader(group, stable).committed(wanted, TIMEOUT_SECONDS)
        except KafkaException as error:
            raise unavailable(self._settings, error) from error
        committed = {}
        for partition in found:
            if partition.error is not None and partition.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise unavailable(self._settings, KafkaException(partition.error))
            if partition.offset >= 0:
                committed[partition.topic, partition.partition] = partition.offset
        return committed

    def _reader(self, group: str, stable: bool) -> Consumer:
        """A consumer that never joins its group.

        Not ``AdminClient.list_consumer_group_offsets``: librdkafka 2.15 dies of a null pointer when the broker asked
        is no longer the group's coordinator (rd_kafka_handle_OffsetFetch, which takes the client for a consumer).
        """
        if (group, stable) not in self._readers:
            isolation = "read_committed" if stable else "read_uncommitted"
            mine = {"group.id": group, "enable.auto.commit": False, "isolation.level": isolation}
            self._readers[group, stable] = Consumer(options(self._settings) | mine)
        return self._readers[group, stable]

    def beginnings(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset that partitions still hold."""
        return self._offsets(partitions, OffsetSpec.earliest())

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the last record of partitions; 0 means that there never was one."""
        return self._offsets(partitions, OffsetSpec.latest())

    def committed_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset before which no transaction is open."""
        return self._offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)

    def at_time(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        """The first offset whose record is not older than a moment; partitions that have none are left out."""
        found = self._offsets(partitions, OffsetSpec.for_timestamp(time_ms))
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def _offsets(
        self,
        partitions: Iterable[Partition],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[Partition, int]:
        wanted = {TopicPartition(*partition): spec for partition in partitions}
        found: dict[Partition, int] = {}
        deadline = time.monotonic() + SETTLING_SECONDS
        while wanted:
            futures = self._admin.list_offsets(wanted, isolation_level=isolation)
            wanted = {}
            for partition, future in futures.items():
                if time.monotonic() < deadline and _is_settling(future):
                    wanted[partition] = spec
                else:
                    found[partition.topic, partition.partition] = self._result(future).offset
            if wanted:
                time.sleep(SETTLING_SECONDS / 50)
        return found

    def _result(self, future: "Future[T]") -> T:
        try:
            return future.result(TIMEOUT_SECONDS)
        except KafkaException as error:
            raise unavailable(self._settings, error) from error
        except TimeoutError as error:
            raise BusUnavailable(
                part="Kafka", address=self._settings.brokers, reason=f"no answer within {TIMEOUT_SECONDS:.0f} s"
            ) from error

    def _done(self, future: "Future[None]", harmless: int) -> bool:
        """Wait for a change; False where it had been made before."""
        try:
            future.result(TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != harmless:
                raise unavailable(self._settings, error) from error
            return False
        return True


def _is_settling(future: "Future[Any]") -> bool:
    """Whether a broker said that it does not lead a partition: a topic that was just made, or a leader that moves."""
    try:
        future.result(TIMEOUT_SECONDS)
    except KafkaException as error:
        return error.args[0].code() in UNSETTLED
    except TimeoutError:
        return False
    return False


def _resource_type(resource: str) -> ResourceType:
    return ResourceType["BROKER" if resource == "CLUSTER" else resource]


def _resource_name(kind: ResourceType) -> str:
    return "CLUSTER" if kind.name == "BROKER" else str(kind.name)


def _portions(items: Iterable[_Item], weight: Callable[[_Item], int] = lambda _: 1) -> Iterator[list[_Item]]:
    """The items in their order, in portions that a controller takes at once: it makes so many records of each."""
    portion: list[_Item] = []
    size = 0
    for item in items:
        if portion and size + weight(item) > MOST_RECORDS:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += weight(item)
    if portion:
        yield portion
