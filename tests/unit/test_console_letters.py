"""The pages of letters: what is shown to whom, and what is done only after it is said what would happen."""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from console_letters import (
    AGREEMENT,
    BIRTH,
    SYSTEM,
    Kafka,
    births,
    bus_with,
    example,
    home_with_keys,
    kafka_that_remembers,
    letters,
    values_of,
)
from console_visits import browser

from lintas import names
from monitoring.console.pages import letters as pages
from streams.acts_log import DISCARD, DONE, REDRIVE, UNMASK
from streams.letter_search import Newest, Search, Waiting, WithFate
from streams.redrive import Attempt
from streams.redrive_log import Fate

HERE = f"/dead-letters/{SYSTEM}"
LETTER = births()[0]
REASON = "a complaint was made, number 17"


class Shelf:
    """Letters of one topic."""

    def __init__(self, found: list[WithFate]) -> None:
        self.found = found
        self.searched: list[Search] = []

    def newest(self, _: Any, __: Any, ___: str, wanted: Search, **____: Any) -> Newest:
        self.searched.append(wanted)
        found = [one for one in self.found if wanted.finds(one[0])]
        return Newest(found[::-1], len(self.found), 0, older=False, cut=False)

    def search(self, _: Any, __: Any, ___: str, wanted: Search) -> list[WithFate]:
        return [one for one in self.found if wanted.finds(one[0])]

    def by_number(self, _: Any, topic: str, numbers: Sequence[int]) -> list[WithFate]:
        return [one for one in self.found if one[0].topic == topic and one[0].offset in numbers]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(letters())
    monkeypatch.setattr(pages, "newest", shelf.newest)
    monkeypatch.setattr(pages, "search", shelf.search)
    monkeypatch.setattr(pages, "letters_by_number", shelf.by_number)
    monkeypatch.setattr(
        pages, "attempt", lambda _, __, chosen: [Attempt(one, "", {one.agreement: "delivered"}) for one in chosen]
    )
    return shelf


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    return kafka_that_remembers(monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_with_keys(tmp_path)


def is_masked(page: str) -> bool:
    return not any(value in page for value in values_of(LETTER.data) | {LETTER.attributes["id"]})


@pytest.mark.usefixtures("shelf")
async def test_letters_are_listed_by_cause_and_one_by_one(home: Path) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        page = (await visitor.get(HERE)).text
    assert "plausible-weight" in page
    assert all(f'href="{HERE}/{number}"' in page for number in range(3))
    assert is_masked(page)


@pytest.mark.parametrize("who", ["operator", "steward-kemenkes"])
@pytest.mark.usefixtures("shelf")
async def test_a_letter_tells_why_it_failed_and_is_masked_for_everybody(home: Path, who: str) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in(who)
        page = (await visitor.get(f"{HERE}/0")).text
    assert "the requirement is not met" in page
    assert html.escape(example().agreements[AGREEMENT].contract.require["plausible-weight"]) in page
    assert is_masked(page)
    assert ("does not release as they are" in page) == (who == "steward-kemenkes")
    assert ("/unmask" in page) == (who == "operator")


@pytest.mark.usefixtures("shelf")
async def test_it_is_recorded_who_saw_a_letter_in_clear_and_why(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/0/unmask", {"reason": REASON})
    assert LETTER.data["child"]["nik"] in answer.text
    assert answer.headers["cache-control"] == "no-store"
    (act,) = kafka.acts
    assert (act.act, act.target, act.agency) == (UNMASK, f"dead.{SYSTEM}: 0", "kemenkes")
    assert (act.actor.subject, act.actor.role, act.reason, act.outcome) == ("operator", "operator", REASON, DONE)
    assert is_masked(str(kafka.written))


@pytest.mark.usefixtures("shelf")
async def test_nothing_is_shown_in_clear_that_cannot_be_recorded(home: Path, kafka: Kafka) -> None:
    kafka.refuses = frozenset({names.ACTS})
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/0/unmask", {"reason": REASON})
    assert answer.status_code == 503
    assert is_masked(answer.text)


@pytest.mark.usefixtures("shelf")
async def test_nothing_is_shown_in_clear_without_a_reason(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/0/unmask", {"reason": " because "})
    assert answer.status_code == 400
    assert is_masked(answer.text)
    assert kafka.written == []


@pytest.mark.usefixtures("shelf")
async def test_a_consumers_steward_does_not_see_in_clear_what_was_never_released(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        answer = await visitor.post(f"{HERE}/0/unmask", {"reason": REASON})
    assert answer.status_code == 403
    assert is_masked(answer.text)
    assert kafka.written == []


async def test_a_publishers_steward_sees_its_own_quarantine_in_clear(home: Path, shelf: Shelf, kafka: Kafka) -> None:
    shelf.found = letters(names.QUARANTINE + "dukcapil")
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-dukcapil")
        answer = await visitor.post("/quarantine/dukcapil/0/unmask", {"reason": REASON})
        other = await visitor.post("/quarantine/kemenkes/0/unmask", {"reason": REASON})
    assert LETTER.data["child"]["nik"] in answer.text
    assert other.status_code == 403
    assert [act.actor.role for act in kafka.acts] == ["steward"]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"where": 'data.child.nik == "1"', "agreement": AGREEMENT}, "data.child.nik is masked for you"),
        ({"where": 'event.subject == "1"', "type": BIRTH}, "event.subject is masked for you"),
        ({"where": "data.child.nik ==", "type": BIRTH}, "Line 1, column 18"),
        ({"where": "data.nothing == 1", "type": BIRTH}, "has no field nothing"),
        ({"where": "data.province == '32'"}, "Choose an agreement or an event type"),
        ({"type": "id.go.nobody.v1"}, "There is no such event type"),
        ({"since": "yesterday"}, "This is not a moment"),
    ],
)
async def test_a_search_that_cannot_be_made_says_why_and_reads_nothing(
    home: Path, shelf: Shelf, form: dict[str, str], told: str
) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(HERE, form)
    assert answer.status_code == 400
    assert told in answer.text
    assert shelf.searched == []


async def test_a_search_is_handed_on_as_typed(home: Path, shelf: Shelf) -> None:
    where = "data.province == '32'"
    form = {"agreement": AGREEMENT, "rule": "plausible-weight", "where": where, "text": "NOT met", "every": "1"}
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(HERE, form)
    (wanted,) = shelf.searched
    assert (wanted.choice.agreement, wanted.choice.rule) == (AGREEMENT, "plausible-weight")
    assert wanted.choice.topic == example().event_types[BIRTH].topic, "a condition is about one event type"
    assert (wanted.where, wanted.text, wanted.every) == (where, "NOT met", True)
    assert "data.province == &#39;32&#39;" in answer.text


async def test_what_may_tell_of_a_person_is_not_taken_from_an_address(home: Path, shelf: Shelf) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        await visitor.get(f"{HERE}?agreement={AGREEMENT}&event_id=1&text=2&where=data.province=='32'")
    (wanted,) = shelf.searched
    assert (wanted.choice.agreement, wanted.event_id, wanted.text, wanted.where) == (AGREEMENT, "", "", None)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("act", ["redrive", "discard"])
async def test_an_act_is_shown_before_it_is_done(home: Path, kafka: Kafka, act: str) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/{act}", {"step": "try", "letter": "1"})
    assert answer.status_code == 200
    assert "This is about one letter" in answer.text
    assert ("delivered" in answer.text) == (act == "redrive")
    assert kafka.written == []


@pytest.mark.usefixtures("shelf")
async def test_a_redrive_is_recorded_and_asked_for(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        answer = await visitor.post(f"{HERE}/redrive", {"step": "do", "letter": "1"})
    assert answer.headers["location"] == f"{HERE}?did=redrive&count=1"
    assert [topic for topic, _ in kafka.written] == [names.ACTS, names.REDRIVES, names.ACTS]
    ((key, value),) = kafka.on(names.REDRIVES)
    request = json.loads(value or b"")
    assert key.decode() == names.DEAD + SYSTEM
    assert (request["kind"], request["author"]) == (REDRIVE, "steward-kemenkes")
    assert [offsets for _, offsets in request["letters"]] == [[1]]


async def test_what_came_after_what_a_person_has_seen_is_not_redriven(home: Path, shelf: Shelf, kafka: Kafka) -> None:
    every = shelf.found
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        shelf.found = every[:2]
        shown = await visitor.post(f"{HERE}/redrive", {"step": "try", "all": "1"})
        assert 'name="through" value="1"' in shown.text
        shelf.found = every
        await visitor.post(f"{HERE}/redrive", {"step": "do", "all": "1", "through": "1"})
    ((_, value),) = kafka.on(names.REDRIVES)
    assert [offsets for _, offsets in json.loads(value or b"")["letters"]] == [[0, 1]]


async def test_what_is_decided_about_is_not_meant(home: Path, shelf: Shelf, kafka: Kafka) -> None:
    shelf.found = [(letter, Fate(DISCARD, "somebody", "2026-11-26", "a copy")) for letter, _ in shelf.found]
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/redrive", {"step": "do", "letter": "1"})
    assert "None of them is open any more" in answer.text
    assert kafka.written == []


@pytest.mark.usefixtures("shelf")
async def test_nothing_is_discarded_without_a_reason(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        refused = await visitor.post(f"{HERE}/discard", {"step": "do", "letter": "1", "reason": "old"})
        assert (refused.status_code, kafka.written) == (400, [])
        await visitor.post(f"{HERE}/discard", {"step": "do", "letter": "1", "reason": REASON})
    ((_, value),) = kafka.on(names.REDRIVES)
    assert json.loads(value or b"")["reason"] == REASON
    assert [(one.act, one.reason, one.detail) for one in kafka.acts] == [(DISCARD, REASON, "1 letter(s)")]


@pytest.mark.usefixtures("shelf")
async def test_who_chooses_nothing_does_nothing(home: Path, kafka: Kafka) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.post(f"{HERE}/redrive", {"step": "do"})
    assert answer.status_code == 400
    assert "Choose letters first" in answer.text
    assert kafka.written == []


async def test_a_steward_sees_the_own_systems_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def waiting(_: Any, topics: Sequence[str]) -> dict[str, Waiting]:
        asked.extend(topics)
        return {topic: Waiting(3) for topic in topics}

    monkeypatch.setattr(pages, "waiting", waiting)
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("steward-kemenkes")
        page = (await visitor.get("/dead-letters")).text
        elsewhere = await visitor.get("/dead-letters/dukcapil.siak")
    assert {topic.removeprefix(names.DEAD).partition(".")[0] for topic in asked} == {"kemenkes"}
    assert SYSTEM in page
    assert elsewhere.status_code == 403


@pytest.mark.parametrize(("left", "told"), [(12, "12 letters are still to be given"), (0, "has been given")])
async def test_progress_is_asked_for_until_nothing_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch, left: int, told: str
) -> None:
    monkeypatch.setattr(pages, "left_to_give", lambda *_: left)
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        part = await visitor.get(f"{HERE}/progress", headers={"hx-request": "true"})
        whole = await visitor.get(f"{HERE}/progress")
    assert told in part.text
    assert ('hx-trigger="every 2s"' in part.text) == (left > 0)
    assert "<html" not in part.text
    assert "<html" in whole.text


async def test_of_an_unknown_system_there_are_no_letters(home: Path) -> None:
    async with browser(home, bus_with(example())) as visitor:
        await visitor.log_in("operator")
        assert (await visitor.get("/dead-letters/nobody.nothing")).status_code == 404
        assert (await visitor.get("/quarantine/nobody")).status_code == 404
