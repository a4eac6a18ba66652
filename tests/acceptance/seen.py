"""The console as a person sees it in Chromium, and everything that goes wrong in the browser meanwhile."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from bench.chromium import log_in
from lintas.settings import Settings

Scheme = Literal["light", "dark"]

WIDE, NARROW = 1440, 390
HEIGHT = 900
ABANDONED = "net::ERR_ABORTED"  # a stream or a file of a page that was left
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# what colours and width have a say in; the rest is the same in every look
OF_THE_LOOK = {"type": "rule", "values": ["color-contrast", "scrollable-region-focusable", "target-size"]}
SERIOUS = ("serious", "critical")

_axe = Axe()


@dataclass(eq=False)
class Visitor:
    """Somebody at the console.

    Attributes:
        wrong: what the browser complained of: errors and warnings of its console (breaches of the content security
            policy are among them), exceptions of scripts, requests that failed, answers of a server that is at its end.
    """

    page: Page
    url: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._wrong(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self._wrong(str(error)))
        self.page.on(
            "requestfailed",
            lambda request: None if request.failure == ABANDONED else self._wrong(f"{request.url} {request.failure}"),
        )
        self.page.on(
            "response", lambda answer: self._wrong(f"{answer.url} {answer.status}") if answer.status >= 500 else None
        )

    def _wrong(self, what: str) -> None:
        self.wrong.append(f"{self.page.url}: {what}")

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def text(self, selector: str = "main") -> str:
        return self.page.inner_text(selector)

    def rows(self, selector: str) -> list[list[str]]:
        """The cells of a table's rows, as they are written."""
        rows: list[list[str]] = self.page.locator(f"{selector} tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )
        return rows

    def status_of(self, path: str, form: Mapping[str, str] | None = None) -> int:
        """What the console answers to this person; a form is sent with the session's own token."""
        if form is None:
            return self.page.request.get(self.url + path, max_redirects=0).status
        token = self.page.locator("input[name=csrf]").first.get_attribute("value") or ""
        return self.page.request.post(self.url + path, form={"csrf": token, **form}, max_redirects=0).status

    def look(self, scheme: Scheme, width: int) -> None:
        # Without motion: colours are not on their way to others when axe looks.
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.set_viewport_size({"width": width, "height": HEIGHT})

    def findings(self, rules: Mapping[str, Any] = RULES) -> list[str]:
        """What axe-core holds to be serious or critical."""
        options = {"runOnly": rules, "resultTypes": ["violations"]}
        found: list[dict[str, Any]] = _axe.run(self.page, options=options).response["violations"]
        return [
            f"{self.page.url}: {one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary'][:300]}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]

    def sideways(self) -> int:
        """By how many pixels the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wider


@dataclass(frozen=True)
class SeenConsole:
    """A console that runs, and a browser."""

    browser: Browser
    settings: Settings
    url: str

    @contextlib.contextmanager
    def visitor(self, username: str | None = None, *, scripting: bool = True) -> Iterator[Visitor]:
        """Somebody with cookies of their own; nothing may go wrong in their browser."""
        context = self.browser.new_context(
            java_script_enabled=scripting, locale="en-GB", viewport={"width": WIDE, "height": HEIGHT}
        )
        try:
            visitor = Visitor(context.new_page(), self.url)
            if username is not None:
                log_in(visitor.page, self.url, self.settings, username)
            yield visitor
            assert visitor.wrong == []
        finally:
            context.close()
