"""Alerts from a feed that somebody publishes: RSS or Atom, asked for seldom and only for what is new."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from lintas_client import Problem
from pydantic import Field, field_validator

from connectors.intake.message import Intake, MalformedMessage, as_json
from connectors.intake.polite import NotFetched, PoliteClient, host_of
from connectors.plugins.cap.alerts import AlertSettings, alerts
from connectors.plugins.cap.feed import Entry, NotAFeed, entries
from connectors.plugins.cap.safe_xml import MAX_BYTES
from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal, Source
from connectors.runtime.plugin import Guarantee, Plugin
from lintas.errors import ConnectorFailed

_FEED: Final = "feed"  # progress: validators of the feed once all that it lists is done
_ENTRY: Final = "entry/"  # progress: an entry that is done
_MOST_ENTRIES: Final = 20  # in one transaction
_POLL_SECONDS: Final = 1.0


class Settings(AlertSettings):
    """Settings of ``cap-feed``."""

    url: str = Field(pattern=r"^https?://[^\s#]+$", description="the feed, RSS or Atom, such as BMKG's nowcasts")
    every_seconds: float = Field(60, ge=10, le=86400, description="how often the feed is asked for")
    requests_per_minute: int = Field(
        30, ge=1, le=600, description="at most, alerts and feed together; BMKG allows 60 from one address"
    )
    hosts: list[str] = Field(
        default_factory=list, description="hosts besides the feed's own that its links may point to, with port if any"
    )
    refused_folder: Path | None = Field(None, description="where alerts that cannot be read are put, with the reasons")

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        urlsplit(url).port  # noqa: B018  raises what is wrong with the address
        return url


class FeedSource(Source):
    """Asks for the feed, then for each entry that it has not done.

    Its progress is the entries that are done, of those that the feed still lists, and the feed's validators once it is
    done with everything in it: so nothing is left out by a 304 after a crash.
    """

    def __init__(self, settings: Settings, intake: Intake) -> None:
        """``intake`` reads an alert."""
        self._settings = settings
        self._intake = intake
        self._log = intake.context.log
        self._client: PoliteClient | None = None
        self._hosts = frozenset({host_of(settings.url), *map(str.lower, settings.hosts)})
        self._done: set[str] = set()
        self._validators: Mapping[str, str] = {}
        self._seen: Mapping[str, str] = {}  # validators of the feed that is being worked on
        self._to_do: list[Entry] = []
        self._missed: NotFetched | None = None  # in this round
        self._last: set[str] = set()  # entries that were missed: they come last in the next round
        self._refused = 0  # alerts that could not be read, since the last portion
        self._working = False
        self._next = 0.0

    async def start(self, progress: Progress) -> None:
        """Go on with the feed."""
        self._done = {
            name.removeprefix(_ENTRY) for name, value in progress.items() if name.startswith(_ENTRY) and value
        }
        self._validators = progress.get(_FEED) or {}
        self._to_do, self._working, self._next = [], False, 0.0
        self._client = PoliteClient(
            per_minute=self._settings.requests_per_minute, hosts=self._hosts, largest_bytes=MAX_BYTES
        )

    async def poll(self) -> Portion | None:
        """The alerts of some entries; or that the feed has nothing new."""
        wait = self._next - time.monotonic()
        if wait > 0:
            await asyncio.sleep(min(wait, _POLL_SECONDS))
            return None
        if not self._working:
            return await self._ask()
        return await self._work()

    async def refused(self, refusals: Sequence[Refusal]) -> bool:  # noqa: ARG002  there are none
        """Never called: what the intake gives is ready."""
        return False

    async def written(self, portion: Portion) -> None:
        """Nothing: the feed is somebody else's."""

    async def stop(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _ask(self) -> Portion | None:
        """Fetch the feed."""
        assert self._client is not None, "started"
        try:
            fetched = await self._client.get(self._settings.url, self._validators)
            listed = [] if fetched.content is None else entries(fetched.content)
        except NotFetched as error:
            self._put_off(error)
            self._log.warning("the feed was not read: %s; asked again in a while", error)
            return None
        except NotAFeed as error:
            raise ConnectorFailed(
                connector=self._intake.context.name,
                reason=f"what {self._settings.url} gives is no feed: {error}",
                remedy="set `url` to an RSS or Atom feed; it is tried again by itself.",
            ) from None
        if fetched.content is None:
            self._rest()
            return None
        self._seen = fetched.validators
        keys = {_digest(entry): entry for entry in listed}
        to_do = [digest for digest in keys if digest not in self._done]
        self._to_do = [keys[digest] for digest in sorted(to_do, key=self._last.__contains__)]
        self._last.clear()
        forgotten = self._done - keys.keys()
        self._done &= keys.keys()
        self._working, self._missed = True, None
        return Portion(progress={_ENTRY + digest: None for digest in forgotten}) if forgotten else None

    async def _work(self) -> Portion | None:
        """Fetch some entries; when none is left, note that the feed is done."""
        events: list[Outgoing] = []
        progress: dict[str, Any] = {}
        due = time.monotonic() + _POLL_SECONDS
        while self._to_do and len(progress) < _MOST_ENTRIES and (not progress or time.monotonic() < due):
            entry = self._to_do.pop(0)
            try:
                events += await self._alert(entry)
            except NotFetched as error:
                self._log.warning("an alert of the feed was not read: %s; asked again in a while", error)
                self._missed = self._worse(error)
                self._last.add(_digest(entry))
                if error.again_in_seconds is not None:  # the server wants to be left alone
                    self._to_do.clear()
                continue
            self._done.add(_digest(entry))
            progress[_ENTRY + _digest(entry)] = {"done": True}
        if not self._to_do:
            self._end_round(progress)
        unique = {event.id: event for event in events}
        refused, self._refused = self._refused, 0
        return Portion(list(unique.values()), progress, set_aside=refused) if progress else None

    def _end_round(self, progress: dict[str, Any]) -> None:
        self._working = False
        if self._missed is not None:  # the validators stay as they were: the next round sees the feed again
            self._put_off(self._missed)
            return
        if self._seen != self._validators:
            progress[_FEED] = self._validators = dict(self._seen)
        self._rest()

    def _worse(self, error: NotFetched) -> NotFetched:
        """Of the round's misses the one that asks for the longest wait."""
        waits = [one for one in (self._missed, error) if one is not None]
        return max(waits, key=lambda one: one.again_in_seconds or 0.0)

    async def _alert(self, entry: Entry) -> Sequence[Outgoing]:
        assert self._client is not None, "started"
        origin = f"feed entry {_digest(entry)}"
        try:
            fetched = await self._client.get(_absolute(self._settings.url, entry.link), {})
        except NotFetched as error:
            if not error.gone:
                raise
            self._log.warning("an alert of the feed is passed over: %s", error)
            return []
        message = fetched.content or b""
        try:
            return await self._intake.events(message, origin)
        except MalformedMessage as error:
            self._set_aside(message, error.problems, origin)
            self._refused += 1
            return []

    def _set_aside(self, message: bytes, problems: Sequence[Problem], origin: str) -> None:
        self._log.warning("%s was refused: %s", origin, "; ".join(map(str, problems[:10])))
        if (folder := self._settings.refused_folder) is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(message).hexdigest()
        (folder / f"{name}.xml").write_bytes(message)
        report = {"origin": origin, "problems": as_json(problems)}
        (folder / f"{name}.problems.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    def _rest(self) -> None:
        self._next = time.monotonic() + self._settings.every_seconds

    def _put_off(self, error: NotFetched) -> None:
        asked = error.again_in_seconds or 0.0
        self._next = time.monotonic() + max(self._settings.every_seconds, asked)


def _absolute(feed: str, link: str) -> str:
    """A link as it is to be taken in a feed."""
    try:
        return urljoin(feed, link)
    except ValueError:
        return link  # it is no address, as whoever asks for it finds


def _digest(entry: Entry) -> str:
    return hashlib.sha256(entry.key.encode()).hexdigest()[:24]


def build(settings: Settings, context: Context) -> FeedSource:
    """A source of valid settings."""
    return FeedSource(settings, alerts(settings, context))


PLUGIN = Plugin(
    name="cap-feed",
    kind="source",
    summary="CAP alerts that an RSS or Atom feed lists, such as BMKG's",
    config=Settings,
    build=build,
    guarantee=Guarantee.EXACTLY_ONCE,
    guarantee_because=(
        "which entries are done is noted in the transaction that publishes their alerts; an entry that leaves the feed "
        "and comes back is a repeat, which the bus drops within its window"
    ),
    example="""\
url: https://www.bmkg.example/alerts/nowcast/id
event_type: id.go.bmkg.alert.issued.v1
every_seconds: 60
requests_per_minute: 30
""",
)
