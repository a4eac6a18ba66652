"""People at the console in a real Chromium: what they find, read and do, as each role; everybody can use it."""

import datetime as dt
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment, wait_until
from playwright.sync_api import Locator, expect
from seen import NARROW, OF_THE_LOOK, WIDE, SeenConsole, Visitor

from bench.chromium import chromium, executable, password_of
from bench.served import running_console
from connectors.generator.day import day
from lintas.cli.catalogue import EXAMPLE_DEPLOYMENT
from lintas.demo.day import publish

EVENTS = 1_500
AGREEMENT, SYSTEM = "kemenkes.satusehat.birth-registered", "kemenkes.satusehat"
BIRTH = "id.go.dukcapil.birth.registered.v1"
RULE = "plausible-weight"
RIGHT, WRONG = "<= 8000", "<= 3000"  # grams; somebody has mistyped what weights are plausible
CHOSEN = 10  # letters, one by one
ALL_GIVEN = "has been given"
REASON = "catalogue mended, ticket 17"
EVENT_COLUMNS = ("published", "routed", "duplicate", "quarantined", "in_flight")
DELIVERY_COLUMNS = ("routed", "delivered", "filtered", "dead", "waiting", "not_in_force", "replayed")

pytestmark = [
    pytest.mark.long,  # the gate has twenty minutes in all; pages, rights and acts are tested there without a browser
    pytest.mark.timeout(600),
    pytest.mark.skipif(executable() is None, reason="no Chromium is installed"),
]


@dataclass(frozen=True)
class Day:
    """A generated day on the bus, in which an agreement failed because of what somebody wrote into it."""

    deployment: Deployment
    console: SeenConsole
    since: str

    def balance(self) -> Mapping[str, Any]:
        """What the command line says of the same events."""
        done = self.deployment.lintas("balance", "--from", self.since, "-o", "json")
        books: Mapping[str, Any] = json.loads(done.stdout)
        return books

    def dead(self) -> int:
        """Dead letters of the agreement, as the books have them."""
        return next(int(one["dead"]) for one in self.balance()["agreements"] if one["agreement"] == AGREEMENT)


@pytest.fixture(scope="module")
def failed_day(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("console")
    mistaken = folder / "catalogue"
    shutil.copytree(EXAMPLE_DEPLOYMENT, mistaken)
    (file,) = mistaken.rglob(f"{AGREEMENT}.yaml")
    file.write_text(file.read_text().replace(RIGHT, WRONG))
    since = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    try:
        apply(deployment, mistaken)
        today = dt.datetime.now(dt.UTC).date()
        publish(deployment.settings, deployment.snapshot(), day(7, today, EVENTS), lambda _: None)
        deployment.settle()
        with running_console(deployment.settings, since, folder / "console.log") as url, chromium() as browser:
            yield Day(deployment, SeenConsole(browser, deployment.settings, url), since)
    finally:
        apply(deployment, EXAMPLE_DEPLOYMENT)  # other tests know no other


def apply(deployment: Deployment, folder: Path) -> None:
    applied = deployment.lintas("catalogue", "apply", folder, "--wait")
    assert applied.returncode == 0, applied.stderr


def number(text: str) -> int:
    return int(text.replace(",", ""))


def says(visitor: Visitor, pattern: str) -> None:
    expect(visitor.page.locator("main")).to_contain_text(re.compile(pattern), timeout=30_000)


# What the overview says is what the books say.


def overview_of(visitor: Visitor) -> tuple[dict[str, list[int]], list[int], list[int]]:
    """The books of the overview: by event type, of all event types, of all deliveries."""
    visitor.go("/")
    rows = visitor.rows("[sse-swap=books] table:has(tfoot) tbody")
    (total,) = visitor.rows("[sse-swap=books] table tfoot")
    (deliveries,) = visitor.rows("[sse-swap=books] table:not(:has(tfoot)) tbody")
    types = {name: list(map(number, cells)) for name, *cells in rows}
    return types, list(map(number, total[1:])), list(map(number, deliveries))


def assert_overview_is_balance(visitor: Visitor, balance: Mapping[str, Any]) -> None:
    """Number by number, once the console has read as far."""
    events = {one["event_type"]: [one[name] for name in EVENT_COLUMNS] for one in balance["event_types"]}
    all_events = [sum(column) for column in zip(*events.values(), strict=True)]
    all_deliveries = [sum(one[name] for one in balance["agreements"]) for name in DELIVERY_COLUMNS]
    wait_until(
        lambda: overview_of(visitor)[1:] == (all_events, all_deliveries), "the overview is as new as the books", 60
    )
    types = overview_of(visitor)[0]
    assert len(types) == 15
    assert types == {name: events[name] for name in types}
    assert min(one[0] for one in types.values()) >= max(one[0] for name, one in events.items() if name not in types)
    assert balance["differences"] == []
    says(visitor, "The books balance")


def test_the_overview_of_a_day_says_what_balance_says(failed_day: Day) -> None:
    with failed_day.console.visitor("viewer") as visitor:
        balance = failed_day.balance()
        assert sum(one["published"] for one in balance["event_types"]) >= EVENTS
        assert_overview_is_balance(visitor, balance)
        for one in balance["agreements"][:5]:
            visitor.go(f"/agreements/{one['agreement']}")
            shown = visitor.page.locator("main dl.figures dd:not(.note)").all_inner_texts()
            assert list(map(number, shown[:7])) == [one[name] for name in DELIVERY_COLUMNS]


# An agreement fails, somebody finds it, reads why, has it mended, and redrives.


def test_a_failing_agreement_is_found_understood_mended_and_redriven(failed_day: Day) -> None:
    before = failed_day.dead()
    with failed_day.console.visitor("operator") as visitor, failed_day.console.visitor("viewer") as watcher:
        assert dead_on_overview(watcher) >= before
        finds_and_reads_why(visitor)
        apply(failed_day.deployment, EXAMPLE_DEPLOYMENT)
        wait_until(lambda: RIGHT in conditions(visitor), "the console shows the mended agreement", 60)
        given = redrives_some_without_scripting(failed_day.console) + redrives_all(visitor)
        assert given > CHOSEN
        assert failed_day.dead() == before - given
        assert_overview_is_balance(visitor, failed_day.balance())
        visitor.go("/acts")
        told = [(cells[1].split()[0], cells[2], cells[4], cells[5].split()[0]) for cells in visitor.rows("main tbody")]
        assert told[:2] == [
            ("operator", "redrive", REASON, "done"),
            ("steward-kemenkes", "redrive", REASON, "done"),
        ]
        # the page that somebody else has had open meanwhile says so by itself
        expect(figure_of_dead(watcher)).to_have_text(f"{dead_on_overview(visitor):,}", timeout=30_000)


def figure_of_dead(visitor: Visitor) -> Locator:
    return visitor.page.locator(".figure:has(dt:text-is('Dead')) dd:not(.note)")


def dead_on_overview(visitor: Visitor) -> int:
    visitor.go("/")
    return number(figure_of_dead(visitor).inner_text())


def conditions(visitor: Visitor) -> str:
    visitor.go(f"/agreements/{AGREEMENT}")
    return visitor.text("section[aria-labelledby=how]")


def finds_and_reads_why(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/")
    page.click(f"[sse-swap=attention] a:has-text('{AGREEMENT}')")
    assert page.url.endswith(f"/dead-letters/{SYSTEM}?agreement={AGREEMENT}")
    page.click(f"main table >> nth=0 >> a:has-text('{AGREEMENT}')")
    assert f"data.child.weight_grams {WRONG}" in visitor.text("section[aria-labelledby=how]")
    page.click(f"main a.button[href^='/dead-letters/{SYSTEM}']")
    page.click("#chosen tbody th a >> nth=0")
    ((_, rule, what),) = visitor.rows("section[aria-labelledby=why] tbody")
    assert rule == RULE
    assert what.startswith("the requirement is not met")
    assert f"data.child.weight_grams {WRONG}" in what


def redrives_some_without_scripting(console: SeenConsole) -> int:
    """The steward of the consumer's agency, in a browser that runs no scripts; returns how many can be given now."""
    with console.visitor("steward-kemenkes", scripting=False) as visitor:
        page = visitor.page
        visitor.go(f"/dead-letters/{SYSTEM}")
        page.select_option("#f-agreement", AGREEMENT)
        page.click("section[aria-labelledby=search] button.primary")
        for box in page.locator("#chosen tbody input").all()[:CHOSEN]:
            box.check()
        page.click("#chosen button.primary")
        delivered = redrives_what_is_shown(visitor)
        page.click("#progress a")
        wait_until(lambda: page.reload() is not None and ALL_GIVEN in visitor.text(), "the letters are given", 60)
        return delivered


def redrives_all(visitor: Visitor) -> int:
    """Everything of the agreement that can be given now; returns how many."""
    visitor.go(f"/dead-letters/{SYSTEM}?agreement={AGREEMENT}")
    visitor.page.click("form.pages button:has-text('Redrive all that are found')")
    delivered = redrives_what_is_shown(visitor)
    expect(visitor.page.locator("#progress")).to_contain_text(ALL_GIVEN, timeout=60_000)
    return delivered


def redrives_what_is_shown(visitor: Visitor) -> int:
    """On the page that says what would become of letters; returns how many would be delivered."""
    promised = {outcome: number(count) for count, _, outcome in visitor.rows("main tbody")}
    assert set(promised) <= {"delivered", f"dead: require: {RULE}"}
    visitor.page.fill("#reason", REASON)
    visitor.page.click("form.stack button.primary")
    return promised["delivered"]


def test_personal_values_are_shown_for_a_reason_and_that_is_on_record(failed_day: Day) -> None:
    reason = f"a citizen asks, case {dt.datetime.now(dt.UTC):%H%M%S%f}"
    with failed_day.console.visitor("operator") as visitor, failed_day.console.visitor("auditor") as auditor:
        page = visitor.page
        visitor.go(f"/dead-letters/{SYSTEM}?agreement={AGREEMENT}")
        page.check("input[name=every]")  # they may have been redriven
        page.click("section[aria-labelledby=search] button.primary")
        letter = page.inner_text("#chosen tbody th >> nth=0")
        page.click("#chosen tbody th a >> nth=0")
        masked = page.inner_text("section[aria-labelledby=event] pre")
        page.click("summary:has-text('Show it in clear')")
        page.fill("#unmask-reason", reason)
        page.click("section[aria-labelledby=event] form.stack button")
        assert reason in visitor.text("section[aria-labelledby=event] .notice")
        clear = page.inner_text("section[aria-labelledby=event] pre")
        name = json.loads(clear)["child"]["name"]
        assert name not in masked
        assert set(json.loads(masked)["child"]["name"]) <= {"*", " "}
        auditor.go("/acts")
        ((*_, target, told, outcome),) = (cells for cells in auditor.rows("main tbody") if cells[4] == reason)
        assert (target, told, outcome.split()[0]) == (f"dead.{SYSTEM}: {letter}", reason, "done")
        assert name not in auditor.text()


# Each role sees its own part.

EVERYWHERE = ("/", "/event-types", "/agreements", "/workers", "/history")
LETTERS = ("/inboxes", "/dead-letters", "/quarantine")
LISTS = ("/replays", "/connectors", "/acts")
ROLES = {
    "viewer": EVERYWHERE,
    "steward-kemenkes": (*EVERYWHERE, *LETTERS, *LISTS),
    "operator": (*EVERYWHERE, *LETTERS, *LISTS),
    "auditor": (*EVERYWHERE, *LISTS),
}
ALL = ROLES["operator"]
OWN, OTHERS = SYSTEM, "jabar.child-welfare"
KEEPERS = {"operator": (OWN, OTHERS), "steward-kemenkes": (OWN,)}


@pytest.mark.parametrize("username", ROLES)
def test_a_role_is_offered_what_it_may_and_refused_the_rest(failed_day: Day, username: str) -> None:
    with failed_day.console.visitor(username) as visitor:
        links = visitor.page.locator("header nav a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
        assert set(links) == set(ROLES[username])
        assert {path: visitor.status_of(path) for path in ALL} == {
            path: 200 if path in ROLES[username] else 403 for path in ALL
        }
        for system in (OWN, OTHERS):
            status = 200 if system in KEEPERS.get(username, ()) else 403
            letters = f"/dead-letters/{system}"
            assert visitor.status_of(letters) == status
            for act in ("redrive", "discard"):
                assert visitor.status_of(f"{letters}/{act}", {"step": "try", "all": "1"}) == status
            refused = visitor.status_of(f"{letters}/0/unmask", {"reason": ""}) == 403
            assert refused == (status == 403)  # otherwise a reason is lacking, or such a letter
        visitor.go(f"/agreements/{AGREEMENT}")
        may_see = username in KEEPERS
        assert visitor.page.locator("main a.button[href^='/dead-letters']").count() == may_see
        assert visitor.page.locator("#payload").count() == (username != "viewer")


def test_a_steward_sees_the_own_agencys_systems_only(failed_day: Day) -> None:
    with failed_day.console.visitor("steward-kemenkes") as visitor:
        for path in LETTERS:
            visitor.go(path)
            owners = [cells[0].partition(".")[0] for cells in visitor.rows("main tbody")]
            assert set(owners) == {"kemenkes"}, path


# Everybody can use it.

PATHS = (
    *ALL,
    f"/event-types/{BIRTH}",
    f"/agreements/{AGREEMENT}",
    f"/inboxes/{SYSTEM}",
    f"/dead-letters/{SYSTEM}",
    f"/dead-letters/{SYSTEM}?agreement={AGREEMENT}&did=redrive&count=1",
    f"/dead-letters/{SYSTEM}/0",
    "/quarantine/dukcapil",
    "/quarantine/dukcapil/0",
)


@pytest.fixture(scope="module")
def operator(failed_day: Day) -> Iterator[Visitor]:
    with failed_day.console.visitor("operator") as visitor:
        yield visitor


def assert_usable(visitor: Visitor) -> None:
    """By everybody, in light and dark, on a wide screen and on a telephone."""
    visitor.look("light", WIDE)
    assert visitor.sideways() <= 0
    assert visitor.findings() == []
    visitor.look("dark", NARROW)
    assert visitor.sideways() <= 0
    assert visitor.findings(OF_THE_LOOK) == []
    assert visitor.wrong == []


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_usable_by_everybody(operator: Visitor, path: str) -> None:
    operator.go(path)
    assert_usable(operator)


def test_pages_that_forms_lead_to_are_usable_by_everybody(operator: Visitor) -> None:
    page = operator.page
    operator.go("/history")
    page.click("main tbody a >> nth=0")
    assert_usable(operator)
    operator.go("/dead-letters")
    page.click("main tbody a >> nth=0")
    page.click("#chosen ~ form button >> nth=0")
    assert page.locator("form.stack #reason").count() == 1
    assert_usable(operator)
    operator.go(f"/agreements/{AGREEMENT}")
    page.fill("#payload", "{}")
    page.click("section[aria-labelledby=test] button")
    expect(page.locator("#judged table")).to_be_visible(timeout=30_000)
    assert_usable(operator)


def test_the_way_in_is_usable_by_everybody_and_by_keyboard_alone(failed_day: Day) -> None:
    with failed_day.console.visitor() as visitor:
        page = visitor.page
        visitor.go("/event-types")
        assert_usable(visitor)
        page.keyboard.type("operator")
        page.keyboard.press("Tab")
        page.keyboard.type(password_of(failed_day.console.settings, "operator"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{visitor.url}/event-types")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator("a.skip").bounding_box() is not None
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "search":
                break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.type("birth.registered")
        page.keyboard.press("Enter")
        page.wait_for_url("**/event-types?search=birth.registered*")
        assert [cells[0].split()[0] for cells in visitor.rows("main tbody")] == [BIRTH]


def test_without_scripting_one_can_look_for_things(failed_day: Day) -> None:
    with failed_day.console.visitor("operator", scripting=False) as visitor:
        visitor.go("/event-types")
        visitor.page.fill("#search", "birth.registered")
        visitor.page.click("form[role=search] button")
        assert [cells[0].split()[0] for cells in visitor.rows("main tbody")] == [BIRTH]
        visitor.go(f"/inboxes/{SYSTEM}")
        assert visitor.page.locator("main tbody tr").count() > 1
