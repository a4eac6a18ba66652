"""What a receiver's answer means (CloudEvents webhook specification, section 2.2; Standard Webhooks 1.0.0)."""

import datetime as dt
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST_PAUSE_SECONDS: Final = 24 * 3600.0  # a receiver that asks for more is asked again after a day
LONGEST_PAUSE_MS: Final = round(LONGEST_PAUSE_SECONDS * 1000)

_GONE, _TOO_MANY, _UNAVAILABLE = 410, 429, 503
_OK, _REDIRECT, _ERROR = 200, 300, 400
_ABOUT_THE_EVENT: Final = frozenset({400, 409, 413, 415, 422})  # says nothing about how the receiver is


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: status and headers, names in lower case; the body is not kept."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class NoAnswer(Exception):
    """No answer came; ``reason`` is a word for statistics, the message says more and holds nothing of the event."""

    def __init__(self, reason: str, message: str) -> None:
        """``reason``: ``timeout``, ``forbidden-address``, ``unreachable`` or ``broken-answer``."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        delivered: the receiver has it, processed or not yet.
        reason: a word for statistics if it has not: ``http-500``, ``redirect``, ``timeout``.
        status: of HTTP, if there was an answer.
        gone: the receiver wants nothing more.
        pause_seconds: how long it wants to be left alone.
        receiver_ails: it speaks for the receiver being out of order, rather than the event.
    """

    delivered: bool
    reason: str | None = None
    status: int | None = None
    gone: bool = False
    pause_seconds: float | None = None
    receiver_ails: bool = False


def outcome(answer: Answer, now: dt.datetime) -> Outcome:
    """What an answer to a delivery means; ``now`` for a ``Retry-After`` that names a moment."""
    status = answer.status
    if _OK <= status < _REDIRECT:  # 200 without a body is against the specification, and common
        return Outcome(delivered=True, status=status)
    reason = "redirect" if _REDIRECT <= status < _ERROR else f"http-{status}"
    return Outcome(
        delivered=False,
        reason=reason,
        status=status,
        gone=status == _GONE,
        pause_seconds=_pause(answer, now) if status in (_TOO_MANY, _UNAVAILABLE) else None,
        receiver_ails=status not in _ABOUT_THE_EVENT,
    )


def retry_after(text: str | None, now: dt.datetime) -> float | None:
    """Seconds that a ``Retry-After`` names, as number or moment (RFC 9110, section 10.2.3); None if unreadable."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text), LONGEST_PAUSE_SECONDS)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_PAUSE_SECONDS)


def _pause(answer: Answer, now: dt.datetime) -> float | None:
    return retry_after(answer.headers.get("retry-after"), now)
