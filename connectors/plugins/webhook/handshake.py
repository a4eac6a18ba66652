"""The receiver's permission (CloudEvents webhook specification, section 4: abuse protection)."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from connectors.plugins.webhook.answers import Answer

DAY_MS: Final = 24 * 3600 * 1000
_GRACE_MS: Final = DAY_MS  # how long a permission outlives its day while the receiver cannot be asked
_ANY: Final = "*"
_RATE: Final = re.compile("[1-9][0-9]{0,8}")
_SERVER_ERROR, _TRANSIENT = 500, (408, 429)


class Denied(Exception):
    """The receiver answered and has not given permission; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a receiver allowed.

    Attributes:
        url: of the receiver.
        origin: who may send.
        per_minute: how many requests; None: as many as we like.
        granted_ms: when.
        by_callback: it was given by a callback, and stands until the receiver says otherwise.
    """

    url: str
    origin: str
    per_minute: int | None
    granted_ms: int
    by_callback: bool = False

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Read what `to_json` wrote; None if there is nothing."""
        return None if value is None else cls(**value)

    def to_json(self) -> dict[str, Any]:
        """For the connector's progress."""
        return asdict(self)

    def due_ms(self) -> int:
        """When it is to be asked for again."""
        return self.granted_ms + DAY_MS

    def good_without_asking(self, now_ms: int) -> bool:
        """Whether it may be relied upon while the receiver cannot be asked."""
        return self.by_callback or now_ms < self.due_ms() + _GRACE_MS


def request_headers(origin: str, per_minute: int | None, callback: str | None) -> dict[str, str]:
    """Headers of the ``OPTIONS`` request (section 4.1)."""
    headers = {"WebHook-Request-Origin": origin}
    if per_minute is not None:
        headers["WebHook-Request-Rate"] = str(per_minute)
    if callback is not None:
        headers["WebHook-Request-Callback"] = callback
    return headers


def cannot_say(answer: Answer) -> bool:
    """Whether the receiver is out of order rather than unwilling."""
    return answer.status >= _SERVER_ERROR or answer.status in _TRANSIENT


def permission(answer: Answer, url: str, origin: str, asked_per_minute: int | None, now_ms: int) -> Permission:
    """What an answer permits; its status says nothing (section 4.2), its headers do.

    A receiver that names no rate, though it must if it is asked for one, gets what was asked for at most.

    Raises:
        Denied: nothing is permitted.
    """
    allowed = answer.headers.get("webhook-allowed-origin")
    if allowed is None:
        raise Denied(f"it answered OPTIONS with {answer.status} and without WebHook-Allowed-Origin")
    if allowed.strip().lower() not in (_ANY, origin.lower()):
        raise Denied("its WebHook-Allowed-Origin is neither * nor our origin")
    return Permission(url, origin, rate(answer.headers.get("webhook-allowed-rate"), asked_per_minute), now_ms)


def rate(text: str | None, asked_per_minute: int | None) -> int | None:
    """The requests a minute that ``WebHook-Allowed-Rate`` permits, never more than were asked for.

    Raises:
        Denied: it is neither ``*`` nor a positive whole number.
    """
    if text is None or text.strip() == _ANY:
        return asked_per_minute
    if not _RATE.fullmatch(text.strip()):
        raise Denied("its WebHook-Allowed-Rate is neither * nor a positive whole number")
    return int(text) if asked_per_minute is None else min(int(text), asked_per_minute)
