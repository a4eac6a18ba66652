"""A console over a bus that is not there, and people who log in to it as browsers do."""

import contextlib
import html
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from lintas.settings import Settings
from monitoring.console.app import PAGES, build
from monitoring.console.bus import Bus
from monitoring.console.catalogue_view import Catalogue
from monitoring.console.known import Known
from monitoring.console.ledger import Ledger
from monitoring.console.page import Page
from monitoring.console.people import people_file
from monitoring.console.samples import Sample
from schemas.catalogue_log import CatalogueLog
from schemas.snapshot import Snapshot
from streams.overview import Overview

URL = "http://127.0.0.1:8460"


class StillBus:
    """What is known of a bus stands still; tests set it."""

    def __init__(self) -> None:
        self.catalogue: Known[Catalogue | None] = Known()
        self.lanes: Known[Overview] = Known()
        self.ledger: Known[Ledger] = Known()
        self.progress = (0, 0)
        self.sampled: Sequence[Sample] = ()
        self.version = 0
        self.log = CatalogueLog()

    def altered(self, before: str | None, after: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return self.log.altered(before, after)

    def samples(self, snapshot: Snapshot, event_type: str) -> Sequence[Sample]:  # noqa: ARG002  as Bus has it
        return self.sampled


class Browser:
    """Cookies, redirects and forms."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings) -> None:
        self.http, self.settings = http, settings

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(path, follow_redirects=True, **options)

    async def log_in(self, username: str, path: str = "/") -> httpx.Response:
        form = hidden_fields((await self.get(path)).text)
        people = yaml.safe_load(people_file(self.settings).read_text())
        given = form | {"username": username, "password": people[username]["password"]}
        return await self.http.post("/issuer/authorize", data=given, follow_redirects=True)

    async def csrf(self) -> str:
        return hidden_fields((await self.get("/")).text)["csrf"]

    async def post(self, path: str, form: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """As a form of the console sends it."""
        return await self.http.post(path, data={"csrf": await self.csrf(), **(form or {})}, **options)


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


@contextlib.asynccontextmanager
async def browser(
    home: Path, bus: Bus | None = None, *, pages: Sequence[Page] = PAGES, language: str = "en", **settings: Any
) -> AsyncIterator[Browser]:
    """Somebody who has not logged in yet."""
    chosen = Settings(home=home, **settings)
    app = build(chosen, bus or StillBus(), URL, pages=pages)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=URL, headers={"accept-language": language}
    ) as http:
        yield Browser(http, chosen)
