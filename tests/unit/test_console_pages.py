"""The pages over the example deployment: what they show, to whom, and that a thousand event types do not slow them."""

import dataclasses
import datetime as dt
import html
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from console_bus import AT, BIRTH, BIRTHS_TO_KEMENKES, bus_of, example, large, ledger_of
from console_visits import StillBus, browser

from monitoring.console.app import PAGES
from monitoring.console.identity import Role
from monitoring.console.known import Known
from monitoring.console.page import of_agency, of_system
from monitoring.console.permissions import TABLE, Scope
from monitoring.console.samples import Sample
from schemas.cases import load_cases
from schemas.load import load
from schemas.model import Validity
from streams.books import Difference
from streams.decisions import Place

EXAMPLE_CASES = Path(__file__).parents[2] / "schemas/catalogue"
QUICK_SECONDS = 1.0
OURS = ("/", "/event-types", "/agreements", "/workers", "/history")
USERS = {
    "viewer": Role.VIEWER,
    "steward-dukcapil": Role.STEWARD,
    "steward-kemenkes": Role.STEWARD,
    "operator": Role.OPERATOR,
    "auditor": Role.AUDITOR,
}


@pytest.fixture
def bus() -> StillBus:
    return bus_of(example())


def path_of(pattern: str) -> str:
    """A path that a route answers, about dukcapil where it is about an agency."""
    given = {"system": "dukcapil.siak", "agency": "dukcapil", "name": BIRTH, "agreement": BIRTHS_TO_KEMENKES}
    given |= {"digest": example().digest, "job": "none", "connector": "none"}
    return re.sub(r"\{(\w+)(:int)?\}", lambda match: "0" if match[2] else given[match[1]], pattern)


@pytest.mark.parametrize("username", USERS)
async def test_each_route_is_for_whom_the_table_names_and_for_nobody_else(
    tmp_path: Path, bus: StillBus, username: str
) -> None:
    """What is allowed may fail for want of a Kafka, but is not denied."""
    role = USERS[username]
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in(username)
        form = {"csrf": await visitor.csrf(), "system": "dukcapil.siak"}
        for page in PAGES:
            if page.path.startswith("/live") or page.path == "/sign-out":
                continue  # has no end; or ends the session
            reach = TABLE[page.right].get(role)
            in_form = page.method == "POST" and page.path.startswith("/replays")
            about_agency = in_form or page.agency in (of_system, of_agency)
            other = username != "steward-dukcapil"
            denied = reach is None or (reach is Scope.OWN and about_agency and other)
            path = path_of(page.path)
            answer = await (visitor.http.post(path, data=form) if page.method == "POST" else visitor.http.get(path))
            assert (answer.status_code == 403) == denied, f"{username} {page.method} {path}: {answer.status_code}"


@pytest.mark.parametrize("path", OURS)
@pytest.mark.parametrize("language", ["en", "id"])
async def test_every_page_is_there_while_nothing_of_the_bus_is_known(tmp_path: Path, path: str, language: str) -> None:
    async with browser(tmp_path, language=language) as visitor:
        await visitor.log_in("viewer")
        assert (await visitor.get(path)).status_code == 200


async def test_a_bus_that_does_not_answer_leaves_what_was_known_and_says_since_when(
    tmp_path: Path, bus: StillBus
) -> None:
    bus.catalogue = bus.catalogue.failed("Kafka does not answer at here: no.", AT)
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/event-types")).text
        assert "Kafka does not answer" in page
        assert "26 Nov 2026 19:40:05 WIB" in page
        assert BIRTH in page
        assert (await visitor.http.get("/ready")).status_code == 503
        assert (await visitor.http.get("/live")).status_code == 200


async def test_the_overview_says_what_the_books_say(tmp_path: Path, bus: StillBus) -> None:
    ledger = bus.ledger.value
    assert ledger is not None
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/")).text
    assert f"{sum(one.published for one in ledger.event_types.values()):,} events published" in page
    assert f"{sum(one.delivered for one in ledger.agreements.values()):,}" in page
    assert "The books balance" in page


async def test_the_overview_names_what_needs_attention(tmp_path: Path, bus: StillBus) -> None:
    ledger = ledger_of(example())
    place = Place("inbox.kemenkes.satusehat", 1, 7)
    bus.ledger = Known(
        dataclasses.replace(ledger, differences=(Difference(BIRTHS_TO_KEMENKES, "unexplained", [place]),)), AT
    )
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("operator")
        page = (await visitor.get("/")).text
        assert "The books do not agree in 1 point" in page
        assert "inbox.kemenkes.satusehat [1] 7" in page
        assert "MESSAGE_TOO_LARGE" in page
        assert re.search(r'href="/dead-letters/[a-z.-]+\?agreement=', page)
        await visitor.post("/sign-out")
        await visitor.log_in("viewer")
        assert "/dead-letters/" not in (await visitor.get("/")).text


async def test_the_chart_has_its_numbers_in_a_table_as_well(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        columns = (await visitor.get("/traffic.json")).json()["columns"]
        assert [len(column) for column in columns] == [90, 90, 90]
        page = (await visitor.get("/")).text
        assert f'<td class="num">{columns[1][-1]:.1f}</td><td class="num">{columns[2][-1]:.0f}</td>' in page


async def test_the_picture_is_a_table_for_who_cannot_see_it(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/")).text
        assert 'role="img" aria-label="' in page
        assert re.search(r"<td>dukcapil</td><td><a [^>]*>kemenkes</a></td>", page)


async def test_event_types_are_found_by_every_word_of_a_search(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/event-types?search=DUKCAPIL+birth")).text
        assert BIRTH in page
        assert "id.go.dukcapil.death" not in page
        assert "Nothing was found" in (await visitor.get("/event-types?search=nowhere&page=7")).text


async def test_an_event_type_shows_fields_with_classification_and_consumers_by_version(
    tmp_path: Path, bus: StillBus
) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get(f"/event-types/{BIRTH}")).text
    row = re.search(r"<tr><td class=\"name\">child\.nik</td>.*?</tr>", page, re.DOTALL)
    assert row is not None
    assert "personal" in row[0]
    assert "Population number" in row[0]
    assert "version 1 of 1" in page
    assert BIRTHS_TO_KEMENKES in page


async def test_a_consumer_is_shown_with_the_version_that_it_is_given(tmp_path: Path) -> None:
    before = example()
    agreement = before.agreements[BIRTHS_TO_KEMENKES]
    other = dataclasses.replace(agreement, released=dataclasses.replace(agreement.released, id=999))
    after = dataclasses.replace(before, agreements={**before.agreements, BIRTHS_TO_KEMENKES: other})
    async with browser(tmp_path, bus_of(before, after)) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get(f"/event-types/{BIRTH}")).text
    assert "version 2 of 2, id 999" in page


async def test_a_name_that_does_not_exist_is_answered_with_the_closest(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        answer = await visitor.get("/event-types/id.go.dukcapil.birth.registred.v1")
        assert answer.status_code == 404
        assert BIRTH in answer.text
        assert (await visitor.get("/agreements/none")).status_code == 404
        assert (await visitor.get("/history/none")).status_code == 404


async def test_samples_are_a_part_for_htmx_and_a_page_without_scripting(tmp_path: Path, bus: StillBus) -> None:
    bus.sampled = [Sample(2, 41, AT, {"attributes": {"id": "***"}, "data": {"child": "***"}}), Sample(0, 1, AT, None)]
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        part = (await visitor.get(f"/event-types/{BIRTH}/samples", headers={"hx-request": "true"})).text
        page = (await visitor.get(f"/event-types/{BIRTH}/samples")).text
    assert "<html" not in part
    assert part.strip() in page
    assert "partition 2, offset 41" in part
    assert "cannot be read" in part


async def test_an_agreement_shows_every_field_with_its_rule(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("steward-dukcapil")
        page = (await visitor.get("/agreements/jabar.child-welfare.birth-registered")).text
    rules = {
        path: re.sub(r"<[^>]*>", "", rule).strip()
        for path, rule in re.findall(r"<tr><td class=\"name\">([\w.]+)</td><td>(.*?)</td>", page)
    }
    assert rules["child.nik"] == "pseudonym"
    assert rules["child.birth_date"] == "made coarser to: month"
    assert rules["mother.name"] == "withheld"
    assert rules["child.sex"] == "as published"
    assert rules["envelope.key"] == "pseudonym"
    assert "UU 23/2014" in page


async def test_agreements_are_chosen_by_standing(tmp_path: Path) -> None:
    snapshot = example()
    old = snapshot.agreements[BIRTHS_TO_KEMENKES]
    ended = Validity.model_validate({"from": dt.date(2020, 1, 1), "until": dt.date(2020, 2, 1)})
    contract = old.contract.model_copy(update={"valid": ended})
    changed = {**snapshot.agreements, BIRTHS_TO_KEMENKES: dataclasses.replace(old, contract=contract)}
    async with browser(tmp_path, bus_of(dataclasses.replace(snapshot, agreements=changed))) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/agreements?standing=expired")).text
    assert re.findall(r'href="/agreements/([^"?]+)"', page) == [BIRTHS_TO_KEMENKES]


def cases() -> Mapping[str, tuple[object, dt.datetime]]:
    """The first case of each kind beside an agreement."""
    catalogue, _ = load(EXAMPLE_CASES)
    found, _ = load_cases(catalogue, BIRTHS_TO_KEMENKES)
    agreement = catalogue.agreements[BIRTHS_TO_KEMENKES]
    return {case.expect.kind: (case.event.data, case.moment(agreement)) for case in reversed(found)}


async def test_a_payload_is_decided_as_a_lane_would_and_nothing_else_happens(tmp_path: Path, bus: StillBus) -> None:
    payload, _ = cases()["released"]
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("auditor")
        path = f"/agreements/{BIRTHS_TO_KEMENKES}/test"
        given = await visitor.post(path, {"payload": json.dumps(payload)})
        assert "Delivered" in given.text
        part = await visitor.post(path, {"payload": json.dumps(payload)}, headers={"hx-request": "true"})
        assert "<html" not in part.text
        assert isinstance(payload, dict)
        broken = json.dumps({**payload, "child": {**payload["child"], "nik": "12"}, "province": None})
        refused = (await visitor.post(path, {"payload": broken})).text
        assert "Quarantined" in refused
        assert "child.nik" in refused
        assert "province" in refused
        wrong = (await visitor.post(path, {"payload": '{"a": \n'})).text
        assert "line 2" in wrong
        deep = await visitor.post(path, {"payload": "[" * 100_000})
        assert deep.status_code == 200


async def test_a_viewer_is_shown_no_form_to_test_with(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        assert "<textarea" not in (await visitor.get(f"/agreements/{BIRTHS_TO_KEMENKES}")).text


async def test_history_shows_what_each_catalogue_changed(tmp_path: Path) -> None:
    before = example()
    agreement = before.agreements[BIRTHS_TO_KEMENKES]
    contract = agreement.contract.model_copy(update={"purpose": "Another <purpose>."})
    others = {name: one for name, one in before.agreements.items() if not name.startswith("ppatk.")}
    after = dataclasses.replace(
        before, agreements={**others, BIRTHS_TO_KEMENKES: dataclasses.replace(agreement, contract=contract)}
    )
    async with browser(tmp_path, bus_of(before, after)) as visitor:
        await visitor.log_in("viewer")
        listed = (await visitor.get("/history")).text
        page = (await visitor.get(f"/history/{after.digest}")).text
        first = (await visitor.get(f"/history/{before.digest[:12]}")).text
    assert "steward 2" in listed
    dropped = len(before.agreements) - len(others)
    assert dropped
    assert f"0 created, 1 altered, {dropped} dropped" in page
    assert "<ins>Another &lt;purpose&gt;.</ins>" in page
    assert f"<del>{agreement.contract.purpose}" in html.unescape(page)
    assert f"{len(before.objects())} created, 0 altered, 0 dropped" in first


async def test_lanes_are_shown_as_they_were_reported(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        page = (await visitor.get("/workers")).text
    assert "worker-1" in page
    assert "MESSAGE_TOO_LARGE" in page
    assert f"{sum(3 * n for n in range(8))}" in page


async def test_a_defect_of_a_page_is_told_without_what_was_shown(
    tmp_path: Path, bus: StillBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Siti 3273016501900001")

    monkeypatch.setattr("monitoring.console.pages.event_types.fields_of", broken)
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        answer = await visitor.get(f"/event-types/{BIRTH}")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "Siti" not in answer.text + caplog.text


async def test_requests_are_counted_by_route(tmp_path: Path, bus: StillBus) -> None:
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("viewer")
        await visitor.get(f"/event-types/{BIRTH}")
        metrics = (await visitor.http.get("/metrics")).text
    assert 'lintas_console_requests_total{page="/event-types/{name}",status="2xx"} 1.0' in metrics
    assert BIRTH not in metrics


async def test_a_thousand_event_types_and_five_hundred_agreements_are_shown_at_once(tmp_path: Path) -> None:
    big = large()
    bus = bus_of(big)
    event_type, agreement = list(big.event_types)[500], list(big.agreements)[250]
    paths: tuple[str, ...] = (*OURS, f"/event-types/{event_type}", f"/agreements/{agreement}", f"/history/{big.digest}")
    paths += ("/event-types?search=birth&page=2", "/agreements?search=bps+births&standing=in_force")
    async with browser(tmp_path, bus) as visitor:
        await visitor.log_in("operator")
        for path in paths:
            await visitor.get(path)  # templates are compiled once
            began = time.process_time()
            page = await visitor.get(path)
            assert page.status_code == 200
            assert time.process_time() - began < QUICK_SECONDS, path
            assert len(page.text) < 200_000, path
