"""A generated event as the Kafka record that its publisher writes, its faults included."""

import dataclasses

from connectors.generator.event import Fault, GeneratedEvent
from schemas.wire import envelope, framing, json_data
from schemas.wire.codec import Codec

_NO_SUCH_SCHEMA = 2_000_000_000
_DAY_OF_BIRTH = slice(6, 8)  # in a NIK: 01 to 31, a woman's 41 to 71


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What is written to the event type's topic."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def to_record(event: GeneratedEvent, codec: Codec, schema_id: int) -> Record:
    """The record of an event.

    Args:
        event: any generated event; broken ones come out broken.
        codec: of the event type's newest schema.
        schema_id: the id under which the registry knows that schema.

    Raises:
        MalformedData: the payload does not match the schema: the catalogue is not the one the generator was made for.
    """
    body = codec.encode(json_data.from_json(codec, event.data))
    if event.fault is Fault.BAD_BYTES:
        body = body[:-1]
    elif event.fault is Fault.INVALID_NIK:
        number = event.data["mother"]["nik"]
        body = body.replace(number.encode(), _impossible(number).encode())
    value = framing.frame(_NO_SUCH_SCHEMA if event.fault is Fault.WRONG_SCHEMA_ID else schema_id, body)
    return Record(event.key, value, envelope.binary_headers(event.attributes))


def _impossible(nik: str) -> str:
    return nik[: _DAY_OF_BIRTH.start] + "35" + nik[_DAY_OF_BIRTH.stop :]
