"""What the Python peers decide about an event, as a good engineer would write it with fastavro."""

import hashlib
import hmac
import io
import struct
from collections.abc import Iterator
from typing import Any

import fastavro

from bench.work import Inbox, Work

_FRAME = struct.Struct(">BI")
_TOKEN_BYTES = 16


class Release:
    """What one consumer sees of an event: some of its fields, some of them as tokens, framed as Confluent does."""

    def __init__(self, inbox: Inbox) -> None:
        """``inbox`` has a schema."""
        assert inbox.schema is not None, "events as they are need no release"
        self._schema = fastavro.parse_schema(dict(inbox.schema))
        self._frame = _FRAME.pack(0, inbox.schema_id)
        self._fields = [field["name"] for field in inbox.schema["fields"]]
        self._pseudonyms = inbox.pseudonyms
        self._key = bytes.fromhex(inbox.key)

    def __call__(self, event: dict[str, Any]) -> bytes:
        """The released value."""
        released = {name: event[name] for name in self._fields}
        for name in self._pseudonyms:
            digest = hmac.digest(self._key, released[name].encode(), "sha256")[:_TOKEN_BYTES]
            released[name] = "p1-" + digest.hex()
        out = io.BytesIO(self._frame)
        out.seek(len(self._frame))
        fastavro.schemaless_writer(out, self._schema, released)
        return out.getvalue()


class Rules:
    """Which inboxes an event is for, and what each of them gets."""

    def __init__(self, work: Work) -> None:
        """Compile the work's releases and index its inboxes by region."""
        self._schema = fastavro.parse_schema(dict(work.schema))
        self._decodes = any(inbox.schema is not None or inbox.least_severity is not None for inbox in work.inboxes)
        every = [(inbox, None if inbox.schema is None else Release(inbox)) for inbox in work.inboxes]
        regions = {inbox.region for inbox in work.inboxes}
        self._everywhere = [(inbox, release) for inbox, release in every if inbox.region is None]
        self._by_region = {
            region: [(inbox, release) for inbox, release in every if inbox.region in (region, None)]
            for region in regions
        }

    def outputs(self, headers: list[tuple[str, bytes]], value: bytes) -> Iterator[tuple[Inbox, bytes]]:
        """Each inbox that gets the event, with the value it gets."""
        event: dict[str, Any] = {}
        if self._decodes:
            body = io.BytesIO(value)
            body.seek(_FRAME.size)
            event = fastavro.schemaless_reader(body, self._schema, None)
        region = next(value for name, value in headers if name == "ce_subject").decode()
        for inbox, release in self._by_region.get(region, self._everywhere):
            if inbox.least_severity is None or event["severity"] >= inbox.least_severity:
                yield inbox, value if release is None else release(event)


def sha256(value: bytes) -> bytes:
    """The commitment to a payload in an audit record."""
    return hashlib.sha256(value).digest()
