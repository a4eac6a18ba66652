"""A delivery as an HTTP request (CloudEvents HTTP binding 1.0.2; Standard Webhooks 1.0.0)."""

import hashlib
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lintas_client import Delivery

from schemas.wire import json_event

_JSON: Final = "application/json"
_STRUCTURED: Final = "application/cloudevents+json; charset=UTF-8"
# Section 3.1.3.2: what need not be encoded is U+0021 to U+007E without the double quote and the percent sign.
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_SAME: Final = ("source", "id", "type", "agreement", "replay")


@dataclass(frozen=True, slots=True)
class Notification:
    """What is sent of a delivery at every attempt; its representation shows nothing of it.

    Attributes:
        id: the ``webhook-id``, the same at every attempt.
        headers: those that say what the body is.
        body: JSON in UTF-8.
    """

    id: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def notification(delivery: Delivery, connector: str, *, structured: bool) -> Notification:
    """Write a delivery with its payload in natural JSON.

    An event without a payload is always written in structured mode: a webhook without a body is not permitted
    (CloudEvents webhook specification, section 2.1).
    """
    attributes = {**delivery.event, "datacontenttype": _JSON}
    if delivery.data is None:
        del attributes["datacontenttype"]
        headers, body = {"content-type": _STRUCTURED}, json_event.write(attributes, None, json_event.NO_JSON)
    elif structured:
        headers, body = {"content-type": _STRUCTURED}, json_event.write(attributes, None, delivery.natural)
    else:
        headers = {"ce-" + name: header_text(text) for name, text in attributes.items() if name != "datacontenttype"}
        headers["content-type"] = _JSON
        body = json.dumps(delivery.natural, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Notification(webhook_id(delivery, connector), headers, body)


def webhook_id(delivery: Delivery, connector: str) -> str:
    """The id by which a receiver knows repeats: of the event, and of who sends it under which agreement.

    What is given once more on purpose, by a replay, has an id of its own.
    """
    named = [connector, *(delivery.event.get(name, "") for name in _SAME)]
    return "msg_" + hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def header_text(text: str) -> str:
    """An attribute's value as an HTTP header's (binding, section 3.1.3.2): UTF-8, percent-encoded where it must be."""
    return urllib.parse.quote(text, safe=_PLAIN)
