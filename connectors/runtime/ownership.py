"""Whether any runtime runs a system's connectors: asked of the group whose members are the runtimes."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.runtime.topics import AT_ONCE, TIMEOUT_SECONDS
from lintas import names
from lintas.settings import Settings
from schemas.cluster import options, unavailable


def owned_of(settings: Settings, systems: Iterable[str], principal: str | None = None) -> set[str]:
    """Those of the systems for which there is a runtime; asked as `is_owned` asks, several at once.

    Raises:
        BusUnavailable, MissingCredentials: as `is_owned`.
    """
    wanted = list(systems)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda system: is_owned(settings, system, principal), wanted))
    return {system for system, owned in zip(wanted, answers, strict=True) if owned}


def is_owned(settings: Settings, system: str, principal: str | None = None) -> bool:
    """Whether there is a runtime for the system; asked as the system itself, or as ``principal``.

    Raises:
        BusUnavailable: Kafka does not answer.
        MissingCredentials: the principal has none here.
    """
    admin = AdminClient(options(settings, principal or system))
    group = names.connectors_group(system)
    try:
        described = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_SECONDS)[group].result()
    except KafkaException as error:
        raise unavailable(settings, error) from error
    return bool(described.members)
