"""A record of an inbox read as a delivery."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from .bus import Delivery
from .wire import envelope, framing
from .wire.codec import Codec

_SALT = "lintas-salt"


class Codecs(Protocol):
    """Knows the schema of an id."""

    async def codec(self, schema_id: int) -> Codec:
        """The schema of an id; LookupError if there is none."""


class Record(Protocol):
    """A Kafka record as aiokafka has it."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def delivery(record: Record, codecs: Codecs) -> Delivery:
    """Read a record of an inbox.

    Raises:
        MalformedEvent: (``lintas_client.wire``) it is no CloudEvent, or its payload does not match its schema.
        LookupError: its schema is not known.
    """
    event = envelope.parse(record.headers, record.value)
    codec, data = None, event.json_data
    if event.data is not None:
        schema_id, body = framing.unframe(event.data)
        codec = await codecs.codec(schema_id)
        data = codec.decode(body)
    return Delivery(
        event=event.attributes,
        data=data,
        agreement=event.attributes.get("agreement"),
        channel=event.attributes.get("channel"),
        key=record.key,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC),
        salt=next((value for name, value in record.headers if name == _SALT), None),
        codec=codec,
    )
