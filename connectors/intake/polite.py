"""Fetching over HTTP as a guest: seldom, not what is known already, from the hosts that were agreed on."""

import asyncio
import dataclasses
import datetime as dt
import email.utils
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

_LONGEST_WAIT_SECONDS: Final = 3600
_NOT_MODIFIED: Final = 304


class NotFetched(Exception):
    """An address did not give what was asked; the message says why, for logs."""

    def __init__(self, reason: str, *, again_in_seconds: float | None = None, gone: bool = False) -> None:
        self.again_in_seconds = again_in_seconds  # what the server asked for; 0 if it is busy and does not say how long
        self.gone = gone  # asking again is of no use
        super().__init__(reason)


@dataclasses.dataclass(frozen=True, slots=True)
class Fetched:
    """An answer.

    Attributes:
        content: None if nothing has changed since ``validators``.
        validators: for the next conditional request.
    """

    content: bytes | None
    validators: Mapping[str, str]


class PoliteClient:
    """Keeps requests apart, reads no more than it must, follows no redirects."""

    def __init__(
        self, *, per_minute: int, hosts: frozenset[str], largest_bytes: int, answer_seconds: float = 30.0
    ) -> None:
        """At most ``per_minute`` requests, to ``hosts`` alone; an answer may take ``answer_seconds`` in all."""
        self._apart_seconds = 60 / per_minute
        self._hosts = hosts
        self._largest_bytes = largest_bytes
        self._answer_seconds = answer_seconds
        self._next = 0.0
        self._http = httpx.AsyncClient(timeout=answer_seconds, headers={"user-agent": "lintas-connector"})

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def get(self, url: str, validators: Mapping[str, str]) -> Fetched:
        """Fetch an address, if it has changed since ``validators``.

        Raises:
            NotFetched: it is at none of the hosts, or does not answer with 200 or 304, or too much.
        """
        if not self._may_ask(url):
            raise NotFetched("its address is at none of the hosts that the connector may ask", gone=True)
        await self._pause()
        conditions = {name: validators[kept] for name, kept in _CONDITIONS.items() if kept in validators}
        try:
            async with (
                asyncio.timeout(self._answer_seconds),
                self._http.stream("GET", url, headers=conditions) as answer,
            ):
                if answer.status_code == _NOT_MODIFIED:
                    return Fetched(None, validators)
                if answer.status_code != httpx.codes.OK:
                    raise _refusal(answer)
                content = await self._read(answer)
                kept = {name: answer.headers[name] for name in _CONDITIONS.values() if name in answer.headers}
                return Fetched(content, kept)
        except httpx.InvalidURL:
            raise NotFetched("its address is none", gone=True) from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotFetched(f"it does not answer ({str(error) or type(error).__name__})") from None

    def _may_ask(self, url: str) -> bool:
        try:
            return urlsplit(url).scheme in ("http", "https") and host_of(url) in self._hosts
        except ValueError:  # it is no address
            return False

    async def _pause(self) -> None:
        now = time.monotonic()
        self._next = max(now, self._next) + self._apart_seconds
        await asyncio.sleep(self._next - self._apart_seconds - now)

    async def _read(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > self._largest_bytes:
                raise NotFetched(f"it answers more than {self._largest_bytes} bytes", gone=True)
        return bytes(content)


_CONDITIONS: Final = {"if-none-match": "etag", "if-modified-since": "last-modified"}
_GONE: Final = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
_BUSY: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


def host_of(url: str) -> str:
    """Host and port of an address, as it stands there."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def _refusal(answer: httpx.Response) -> NotFetched:
    asked = _retry_after(answer.headers.get("retry-after", ""))
    again = (asked or 0.0) if answer.status_code in _BUSY else asked
    return NotFetched(f"it answers {answer.status_code}", again_in_seconds=again, gone=answer.status_code in _GONE)


def _retry_after(text: str) -> float | None:
    """Seconds or a date (RFC 9110, section 10.2.3)."""
    if text.strip().isdecimal():
        seconds = float(text)
    else:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (at - dt.datetime.now(at.tzinfo or dt.UTC)).total_seconds() if at.tzinfo else 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)
