"""BMKG's feeds of earthquakes, asked now and then; what is new in them becomes events."""

import asyncio
import itertools
import json
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, PositiveInt, field_validator

from connectors.intake.polite import NotFetched, PoliteClient, host_of
from connectors.plugins.bmkg_earthquakes import quake
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal
from connectors.runtime.plugin import Config, Guarantee, Plugin
from lintas.errors import ConnectorFailed

_SEEN: Final = "seen"
_UNREADABLE: Final = "unreadable"
_REMEMBERED: Final = 500  # events; the feeds hold about 30
_TOLD: Final = 50  # of those that cannot be read; more than the feeds hold, or each reading would tell of some again
_LARGEST_BYTES: Final = 1024 * 1024
_IDLE_SECONDS: Final = 1.0
_PER_MINUTE: Final = 60  # what BMKG allows


class BmkgEarthquakes(Config):
    """Which feeds are read, and how often."""

    url: str = Field("https://data.bmkg.go.id/DataMKG/TEWS/", description="the folder of the feeds; ends in a slash")
    feeds: list[str] = Field(
        ["autogempa", "gempaterkini", "gempadirasakan"],
        min_length=1,
        max_length=5,
        description="their names: the newest, the last ones of magnitude 5 and more, the last ones that were felt",
    )
    interval_seconds: PositiveInt = Field(
        60, ge=30, description="between two readings of all feeds; BMKG allows 60 requests a minute of an address"
    )
    timeout_seconds: PositiveInt = Field(15, description="for an answer")

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        parts = urllib.parse.urlsplit(url)
        is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not url.endswith("/") or parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("must be an address that begins with https:// and ends in a slash")
        if parts.scheme == "http" and not is_here:
            raise ValueError("must begin with https://: warnings that anybody on the way may alter are none")
        return url


class EarthquakeSource:
    """Reads the feeds with conditional requests."""

    def __init__(self, settings: BmkgEarthquakes, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._client: PoliteClient | None = None
        self._validators: dict[str, Mapping[str, str]] = {}  # by feed
        self._seen: dict[str, None] = {}
        self._unreadable: list[str] = []
        self._due = itertools.cycle(settings.feeds)
        self._left = len(settings.feeds)
        self._next = 0.0  # on the monotonic clock

    async def start(self, progress: Progress) -> None:
        """Remember which earthquakes are events already; the first poll asks."""
        self._seen = dict.fromkeys(progress.get(_SEEN) or ())
        self._unreadable = list(progress.get(_UNREADABLE) or ())
        self._client = PoliteClient(
            per_minute=_PER_MINUTE,
            hosts=frozenset({host_of(self._settings.url)}),
            largest_bytes=_LARGEST_BYTES,
            answer_seconds=self._settings.timeout_seconds,
        )

    async def poll(self) -> Portion | None:
        """What is new in the feed whose turn it is."""
        wait = self._next - time.monotonic()
        if wait > 0:
            await asyncio.sleep(min(wait, _IDLE_SECONDS))
            return None
        feed = next(self._due)
        self._left -= 1
        if self._left == 0:
            self._left = len(self._settings.feeds)
            self._next = time.monotonic() + self._settings.interval_seconds
        document = await self._document(feed)
        return None if document is None else self._portion(feed, document)

    async def refused(self, refusals: Sequence[Refusal]) -> bool:  # noqa: ARG002  every event is refused alike
        """A feed and a schema that do not fit are a person's business."""
        return False

    async def written(self, portion: Portion) -> None:
        """Nothing is left to tidy."""

    async def stop(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    def _portion(self, feed: str, document: Any) -> Portion | None:
        events: list[Outgoing] = []
        wrong: list[str] = []
        try:
            found = quake.quakes(document)
        except quake.Unreadable as error:
            raise self._failed(
                f"the feed {feed} is not what it was: {error}", "see whether BMKG has changed it."
            ) from None
        for number, written in enumerate(found, 1):
            try:
                event = quake.event(written, f"{feed} {number}")
            except quake.Unreadable as error:
                wrong.append(f"{feed}, {_name(written)}: {error}")
                continue
            if event.id not in self._seen:
                self._seen[event.id] = None
                events.append(event)
        new = [reason for reason in wrong if reason not in self._unreadable]
        for reason in new:
            self._context.log.warning("an earthquake cannot be read and is passed over: %s", reason)
        if not events and not new:
            return None
        self._unreadable = [*self._unreadable, *new][-_TOLD:]
        self._seen = dict.fromkeys([*self._seen][-_REMEMBERED:])
        events.sort(key=lambda event: str(event.time))  # feeds have the newest first
        return Portion(events, {_SEEN: [*self._seen], _UNREADABLE: self._unreadable}, set_aside=len(new))

    async def _document(self, feed: str) -> Any:
        """The feed, None if it has not changed or is not to be had for a while.

        Raises:
            ConnectorFailed: no answer, or none that can be used.
        """
        assert self._client is not None, "it has been started"
        address = f"{self._settings.url}{feed}.json"
        try:
            fetched = await self._client.get(address, self._validators.get(feed, {}))
        except NotFetched as error:
            if error.again_in_seconds is None:
                raise self._failed(f"{address}: {error}", "it tries again; see whether BMKG has moved it.") from None
            wait = max(error.again_in_seconds, float(self._settings.interval_seconds))
            self._next = time.monotonic() + wait
            self._context.log.warning("BMKG: %s; it is asked again in %.0f s", error, wait)
            return None
        if fetched.content is None:
            return None
        try:
            document = json.loads(fetched.content)
        except (ValueError, RecursionError):
            raise self._failed(f"{address} answers something else than JSON", "it tries again.") from None
        self._validators[feed] = fetched.validators
        return document

    def _failed(self, reason: str, remedy: str) -> ConnectorFailed:
        return ConnectorFailed(connector=self._context.name, reason=reason, remedy=remedy)


def _name(written: Mapping[str, Any]) -> str:
    """What tells an earthquake from others: public, as all of the feed."""
    return " ".join(str(written.get(part, "?"))[:40] for part in ("Tanggal", "Jam"))


PLUGIN = Plugin(
    name="bmkg-earthquakes",
    kind="source",
    summary="BMKG's public feeds of earthquakes, polled politely, to events of id.go.bmkg.earthquake.measured.v1",
    config=BmkgEarthquakes,
    build=EarthquakeSource,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "an event's id is made of what was measured, and the ids of the last 500 events are written in one transaction "
        "with them; an earthquake that comes and goes between two readings of a feed is not seen"
    ),
    example="""\
feeds: [autogempa, gempaterkini, gempadirasakan]
interval_seconds: 60
""",
)
