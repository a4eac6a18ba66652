"""Cursors: how far a system has read its inbox, in a form that only the gateway makes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from connectors.gateway.refusal import Refused

_TAG_BYTES: Final = 16
_PURPOSE: Final = b"lintas gateway cursor"
LONGEST: Final = 4_096

Positions = Mapping[int, int]  # the next offset, by partition of the inbox


class Cursors:
    """Cursors of one system's inbox.

    They are sealed with a key made of the system's own password, so every gateway that speaks for the system takes
    them, and nobody makes one up or uses that of another system.
    """

    def __init__(self, system: str, password: str) -> None:
        """``password`` is the system's own towards Kafka."""
        self._key = hmac.digest(password.encode(), _PURPOSE + b"\0" + system.encode(), "sha256")

    def write(self, positions: Positions) -> str:
        """The cursor of positions: URL-safe text."""
        told = json.dumps({str(place): offset for place, offset in sorted(positions.items())}, separators=(",", ":"))
        return base64.urlsafe_b64encode(self._tag(told.encode()) + told.encode()).decode().rstrip("=")

    def read(self, cursor: str) -> dict[int, int]:
        """The positions of a cursor.

        Raises:
            Refused: 400: it is not one that ``write`` made for this system.
        """
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError:  # UnicodeEncodeError and binascii.Error are
            raw = b""
        tag, told = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if len(cursor) > LONGEST or not hmac.compare_digest(tag, self._tag(told)):
            raise Refused(
                "malformed-cursor",
                "The cursor was not made by a gateway for this system's inbox.",
                cause="It was altered or cut, belongs to another system, or the system's password was changed since.",
                remedy="Leave the cursor out: reading goes on behind what was acknowledged last.",
            )
        return {int(place): int(offset) for place, offset in json.loads(told).items()}

    def _tag(self, told: bytes) -> bytes:
        return hmac.new(self._key, told, hashlib.sha256).digest()[:_TAG_BYTES]
