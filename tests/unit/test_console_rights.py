"""To each of the pages where people act come those who may."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from console_letters import (
    home_with_keys,
)
from console_visits import browser
from starlette.responses import PlainTextResponse, Response

from monitoring.console.page import Visit
from monitoring.console.pages import acts as acts_pages
from monitoring.console.pages import connectors, inboxes, letters, replays

MINE = (*inboxes.PAGES, *letters.PAGES, *replays.PAGES, *connectors.PAGES, *acts_pages.PAGES)
SEEN_BY_AUDITORS = {  # no payload
    *(("/replays", "GET"), ("/connectors", "GET"), ("/connectors/{connector}", "GET")),
    *(("/acts", "GET"), ("/acts", "POST"), ("/acts.csv", "POST")),
}


async def _reached(_: Visit) -> Response:
    return PlainTextResponse("reached")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


@pytest.mark.parametrize(
    ("username", "agency", "comes"),
    [
        ("viewer", "dukcapil", lambda _, __: False),
        ("auditor", "dukcapil", lambda path, method: (path, method) in SEEN_BY_AUDITORS),
        ("steward-dukcapil", "dukcapil", lambda _, __: True),
        ("steward-dukcapil", "kemenkes", lambda path, _: "{system}" not in path and "{agency}" not in path),
        ("operator", "dukcapil", lambda _, __: True),
    ],
)
async def test_to_each_page_come_those_who_may(
    home: Path, username: str, agency: str, comes: Callable[[str, str], bool]
) -> None:
    pages = [dataclasses.replace(page, answer=_reached) for page in MINE]
    async with browser(home, pages=pages) as visitor:
        await visitor.log_in(username, "/acts")
        token = visitor.http.cookies  # the session is there; its token is in no page of these
        assert "lintas_session" in token
        for page in pages:
            path = page.path.replace("{system}", f"{agency}.any").replace("{agency}", agency)
            path = path.replace("{letter:int}", "0").replace("{job}", "x").replace("{connector}", "x")
            answer = await visitor.http.request(
                page.method, path, data={"csrf": "none"} if page.method == "POST" else None
            )
            if not comes(page.path, page.method):
                assert answer.status_code == 403, (page.method, path)
                assert "You may not see or do this" in answer.text
            elif page.method == "POST":
                assert "not sent by a form" in answer.text, "the right is there, the proof of our form is not"
            else:
                assert answer.text == "reached"
