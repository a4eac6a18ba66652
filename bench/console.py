"""How soon a page of the console is there: a catalogue as large as a country's on a real bus, a real browser."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from playwright.sync_api import Browser

from bench import catalogue, report
from bench.catalogue import EventTypes
from bench.chromium import chromium, log_in
from bench.jobs import FIELDS, KEEP, Desk, Job
from bench.machine import moment
from bench.served import running_console
from bench.stage import stage

EVENT_TYPES: Final = 1_000
AGREEMENTS: Final = 500
CONSUMERS: Final = 50
FEW: Final = EventTypes(partitions=1, inbox_partitions=1)
PERSON: Final = "operator"
# what the browser itself says, in milliseconds since the address was asked for
_TIMES: Final = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return paint && [page.responseStart - page.requestStart, paint.startTime, page.decodedBodySize];
}"""


def measure(rounds: int) -> None:
    """Time every page that lists or shows the catalogue and write it down."""
    desk = [Desk(f"c{n}", dict.fromkeys(FIELDS, KEEP)) for n in range(CONSUMERS)]
    jobs = [Job(f"t{n}", "", [desk[n % CONSUMERS]] if n < AGREEMENTS else []) for n in range(EVENT_TYPES)]
    pages = _pages(jobs)
    with stage(jobs, FEW) as bus, chromium() as browser:
        since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        with running_console(bus.settings, since, bus.log("console")) as url:
            context = browser.new_context()
            log_in(context.new_page(), url, bus.settings, PERSON)
            cookies = context.storage_state()
            context.close()
            found: defaultdict[str, list[Sequence[float]]] = defaultdict(list)
            for page in [*pages, *_in_turns(pages, rounds)]:  # the first of each is to warm up
                found[page].append(_visit(browser, cookies, url + pages[page]))
    rows = [
        [
            name,
            report.spread(one[0] for one in times[1:]),
            report.spread(one[1] for one in times[1:]),
            f"{times[-1][2] / 1000:,.0f}",
        ]
        for name, times in found.items()
    ]
    head = ["page", "first byte, ms", "first contentful paint, ms", "kB"]
    text = (
        f"{EVENT_TYPES:,} event types and {AGREEMENTS} agreements of {CONSUMERS} consumers in force on one broker; "
        f"Chromium on the same machine, {rounds} visits a page in turns, each with an empty cache, after one that does "
        f"not count. Minimum / median / maximum.\n\n{report.table(head, rows)}\n\n{moment()}"
    )
    report.write_section("console", text)
    print(text)


def _pages(jobs: Sequence[Job]) -> Mapping[str, str]:
    asked = jobs[AGREEMENTS // 2]
    return {
        "overview": "/",
        "event types": "/event-types",
        "event types, searched": f"/event-types?search={asked.name}",
        "one event type": f"/event-types/{asked.event_type}",
        "agreements": "/agreements",
        "one agreement": f"/agreements/{catalogue.agreement_of(asked, asked.desks[0])}",
        "inboxes": "/inboxes",
        "dead letters": "/dead-letters",
        "quarantine": "/quarantine",
        "replays": "/replays",
        "acts": "/acts",
        "workers": "/workers",
        "history": "/history",
    }


def _in_turns(pages: Mapping[str, str], rounds: int) -> Iterator[str]:
    for _ in range(rounds):
        yield from pages


def _visit(browser: Browser, cookies: Any, address: str) -> Sequence[float]:
    context = browser.new_context(storage_state=cookies)
    try:
        page = context.new_page()
        page.goto(address)
        times: Sequence[float] = page.wait_for_function(_TIMES).json_value()
        return times
    finally:
        context.close()
