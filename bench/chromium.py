"""A Chromium of this machine, driven as a person would: for the bench, the screenshots of the docs and the tests."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Final

import yaml
from playwright.sync_api import Browser, Page, sync_playwright

from lintas.settings import Settings
from monitoring.console.people import people_file

FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def executable() -> str | None:
    """Where it is; None if there is none. None is downloaded."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A running one, without a window.

    Raises:
        FileNotFoundError: none is installed.
    """
    found = executable()
    if found is None:
        raise FileNotFoundError("there is no chromium; Debian's package is called so")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def password_of(settings: Settings, username: str) -> str:
    """Of one of the console's demo people."""
    people = yaml.safe_load(people_file(settings).read_text())
    return str(people[username]["password"])


def log_in(page: Page, url: str, settings: Settings, username: str) -> None:
    """By the login page of the console's own issuer, from the console's first page."""
    page.goto(url)
    page.fill("#username", username)
    page.fill("#password", password_of(settings, username))
    page.click("main button")
    page.wait_for_url(f"{url}/")
