"""The consumer groups under which sinks' positions are committed, so that their lag is watched like any reader's."""

import logging
from collections.abc import Collection
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from lintas import names
from lintas.settings import Settings
from schemas.cluster import options

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0
_GONE: Final = KafkaError.GROUP_ID_NOT_FOUND


def delete_others(settings: Settings, system: str, connectors: Collection[str]) -> None:
    """Delete the groups of a system's connectors that are none of ``connectors``.

    One that was deleted would be taken for a reader that is stuck. Where sinks are is in the system's topic, so nothing
    is forgotten. What cannot be deleted now is logged, and deleted when the system's next runtime begins.
    """
    admin = AdminClient(options(settings, system))
    kept = {names.connector_id(system, connector) for connector in connectors}
    try:
        groups = admin.list_consumer_groups(request_timeout=TIMEOUT_SECONDS).result(TIMEOUT_SECONDS).valid
        others = [
            group.group_id
            for group in groups
            if group.group_id.startswith(names.connector_id(system, "")) and group.group_id not in kept
        ]
        deleting = admin.delete_consumer_groups(others, request_timeout=TIMEOUT_SECONDS) if others else {}
        failures = [error for future in deleting.values() if (error := future.exception(TIMEOUT_SECONDS))]
    except (KafkaException, TimeoutError) as error:
        failures = [error]
    for failure in failures:
        if not (isinstance(failure, KafkaException) and failure.args[0].code() == _GONE):
            log.warning("%s: groups of deleted connectors are still there: %s", system, failure)
