"""The topics of systems' connectors as a program that ends soon reads and writes them."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from connectors.runtime.state import ConnectorsState
from lintas import names
from lintas.settings import Settings
from schemas.cluster import options, unavailable
from schemas.connector_configs import Record
from schemas.topic_reader import read_to_end
from schemas.topic_writer import append

TIMEOUT_SECONDS: Final = 10.0
AT_ONCE: Final = 16  # systems that are asked about; each waits more than it works


def has_topic(settings: Settings, system: str, *, principal: str | None = None) -> bool:
    """Whether the catalogue in force gives a system connectors; asked as the system, or as ``principal``.

    Raises:
        BusUnavailable: Kafka does not answer.
        MissingCredentials: the system has none here.
    """
    topic = names.connectors_topic(system)
    return _metadata(settings, principal or system, topic).topics[topic].error is None


def cluster_id(settings: Settings, system: str) -> str:
    """Kafka's id of itself; asked as the system.

    Raises:
        BusUnavailable: Kafka does not answer.
        MissingCredentials: the system has none here.
    """
    return str(_metadata(settings, system, names.connectors_topic(system)).cluster_id or "")


def _metadata(settings: Settings, principal: str, topic: str) -> ClusterMetadata:
    try:
        return AdminClient(options(settings, principal)).list_topics(topic, timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise unavailable(settings, error) from error


def read_states(
    settings: Settings, systems: Iterable[str], *, principal: str | None = None
) -> dict[str, ConnectorsState]:
    """What the topics of systems say, of those that may have connectors.

    Each is read as the system itself, or all as ``principal``.

    Raises:
        BusUnavailable: Kafka does not answer.
        MissingCredentials: a system has none here.
    """

    def read(system: str) -> ConnectorsState | None:
        if not has_topic(settings, system, principal=principal):
            return None
        return ConnectorsState().of(read_to_end(settings, principal or system, names.connectors_topic(system)))

    wanted = list(systems)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        states = list(pool.map(read, wanted))
    return {system: state for system, state in zip(wanted, states, strict=True) if state is not None}


def write(settings: Settings, system: str, records: Iterable[Record], *, principal: str | None = None) -> None:
    """Write to a system's topic, as the system itself or as ``principal``.

    Raises:
        BusUnavailable: Kafka does not answer. Writing again is harmless.
        MissingCredentials: the system has none here.
    """
    if found := list(records):
        append(settings, names.connectors_topic(system), *found, principal=principal or system)
