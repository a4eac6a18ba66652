"""Whether the controllers of a KRaft cluster have a leader (Kafka protocol, DescribeQuorum version 0, KIP-595).

What brokers say of a controller in their metadata is the number of some broker that is alive, and librdkafka asks for
nothing else. aiokafka 0.14 has no such request: the pin in pyproject.toml and this file change together.
"""

import asyncio
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

TIMEOUT_SECONDS: Final = 3.0
TOPIC: Final = "__cluster_metadata"
_REPLICAS: Final = CompactArray(("replica_id", Int32), ("log_end_offset", Int64), ("tags", TaggedFields))


class _Answer(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 55
    API_VERSION = 0
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic_name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("current_voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # as above
    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_name", CompactString("utf-8")),
                ("partitions", CompactArray(("partition_index", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeQuorum(Request[_Question]):  # type: ignore[misc]  # as above
    API_KEY = 55

    def build(self, request_struct_class: type[_Question]) -> Any:
        return request_struct_class([(TOPIC, [(0, {})], {})], {})


async def has_leader(admin: AIOKafkaAdminClient) -> bool:
    """Whether the controllers have a leader; no, too, if no answer comes in time: a broker asks the leader itself."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await admin._send_request(_DescribeQuorum())
    except (KafkaError, TimeoutError):
        return False
    partitions = [partition for topic in answer.topics for partition in topic[1]]
    return answer.error_code == 0 and any(error == 0 and leader >= 0 for _, error, leader, *_ in partitions)
