"""What holds for every page of the console: who may, what forms must prove, what browsers are told."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from console_visits import browser
from starlette.responses import PlainTextResponse, Response

from monitoring.console import texts
from monitoring.console.app import PAGES
from monitoring.console.identity import Person, Role, person_of
from monitoring.console.page import Page, Visit, of_system
from monitoring.console.permissions import TABLE, Right, Scope, allowed, only_agency, scope
from monitoring.console.templates import STATIC

CONSOLE = Path(texts.__file__).parent
SOME: Mapping[Role, Person] = {
    role: Person(role, role, frozenset({role}), "dukcapil" if role is Role.STEWARD else "") for role in Role
}


async def _echo(visit: Visit) -> Response:
    return PlainTextResponse(f"done by {visit.person.subject}: {visit.field('what')}")


ACT = Page("/act/{system}", Right.REDRIVE, _echo, "POST", of_system)


# what each role may: "all", "own" agency's only, or nothing
EXPECTED = {
    Right.SIGNED_IN: ("all", "all", "all", "all"),
    Right.SEE_BUS: ("all", "all", "all", "all"),
    Right.TEST_AGREEMENT: ("", "all", "all", "all"),
    Right.SEE_INBOX: ("", "own", "all", ""),
    Right.SEE_DEAD_LETTERS: ("", "own", "all", ""),
    Right.SEE_QUARANTINE: ("", "own", "all", ""),
    Right.SEE_REPLAYS: ("", "own", "all", "all"),
    Right.SEE_ACTS: ("", "own", "all", "all"),
    Right.UNMASK: ("", "own", "all", ""),
    Right.REDRIVE: ("", "own", "all", ""),
    Right.DISCARD: ("", "own", "all", ""),
    Right.REPLAY: ("", "own", "all", ""),
    Right.SEE_CONNECTORS: ("", "own", "all", "all"),
    Right.CONTROL_CONNECTORS: ("", "own", "all", ""),
}


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_is_written_here_and_nothing_else(right: Right, role: Role) -> None:
    person = SOME[role]
    given = EXPECTED[right][list(Role).index(role)]
    assert allowed(person, right, "kemenkes") == (given == "all")
    assert allowed(person, right, "dukcapil") == (given in ("all", "own"))
    assert allowed(person, right) == (given != "")


def test_who_has_no_role_may_nothing() -> None:
    nobody = Person("nobody", "nobody", frozenset())
    assert not any(allowed(nobody, right) for right in Right)
    with pytest.raises(PermissionError):
        only_agency(nobody, Right.SEE_BUS)


def test_of_several_roles_the_one_that_gives_most_counts() -> None:
    person = Person("both", "both", frozenset({Role.STEWARD, Role.OPERATOR}), "dukcapil")
    assert scope(person, Right.REDRIVE) is Scope.ALL


def test_every_right_is_in_the_table() -> None:
    assert set(TABLE) == set(Right) == set(EXPECTED)


@pytest.mark.parametrize(
    ("claims", "roles", "agency"),
    [
        ({"roles": ["operator", "hr-admin"]}, {Role.OPERATOR}, ""),  # roles of other programs are passed over
        ({"roles": "viewer auditor"}, {Role.VIEWER, Role.AUDITOR}, ""),
        ({"roles": ["steward"], "agency": "dukcapil"}, {Role.STEWARD}, "dukcapil"),
        ({"roles": ["steward"]}, set(), ""),  # a steward of nothing
        ({"roles": ["steward"], "agency": "../all"}, set(), ""),
        ({"roles": ["viewer"], "agency": "dukcapil"}, {Role.VIEWER}, ""),
        ({"roles": {"operator": True}}, set(), ""),
        ({}, set(), ""),
    ],
)
def test_roles_come_from_the_claims(claims: dict[str, object], roles: set[Role], agency: str) -> None:
    found = person_of({"sub": "s", **claims}, roles_claim="roles", agency_claim="agency")
    assert (set(found.roles), found.agency) == (roles, agency)


def test_roles_may_lie_within_objects_of_the_claims() -> None:
    claims = {"sub": "s", "realm_access": {"roles": ["operator"]}}
    assert person_of(claims, roles_claim="realm_access.roles", agency_claim="agency").roles == {Role.OPERATOR}


async def test_without_a_session_a_page_leads_to_the_login_and_a_form_does_nothing(tmp_path: Path) -> None:
    async with browser(tmp_path, pages=(*PAGES, ACT)) as visitor:
        answer = await visitor.http.get("/?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Fx%3D1")
        assert (await visitor.http.post("/act/dukcapil.siak", data={"csrf": "x"})).status_code == 401


@pytest.mark.parametrize(
    ("username", "system", "status"),
    [
        ("operator", "kemenkes.satusehat", 200),
        ("steward-dukcapil", "dukcapil.siak", 200),
        ("steward-dukcapil", "kemenkes.satusehat", 403),
        ("viewer", "dukcapil.siak", 403),
        ("auditor", "dukcapil.siak", 403),
    ],
)
async def test_a_route_is_guarded_by_its_right_over_the_agency(
    tmp_path: Path, username: str, system: str, status: int
) -> None:
    async with browser(tmp_path, pages=(*PAGES, ACT)) as visitor:
        await visitor.log_in(username)
        answer = await visitor.post(f"/act/{system}", {"what": "it"})
        assert answer.status_code == status
        assert ("done by" in answer.text) == (status == 200)


async def test_a_form_must_prove_that_it_is_ours(tmp_path: Path) -> None:
    async with browser(tmp_path, pages=(*PAGES, ACT)) as visitor:
        await visitor.log_in("operator")
        path, token = "/act/dukcapil.siak", await visitor.csrf()
        assert (await visitor.http.post(path, data={})).status_code == 403
        assert (await visitor.http.post(path, data={"csrf": token[:-1]})).status_code == 403
        assert (await visitor.http.post(path, json={"csrf": token})).status_code == 403
        elsewhere = {"origin": "https://evil.example"}
        assert (await visitor.http.post(path, data={"csrf": token}, headers=elsewhere)).status_code == 403
        beside = {"sec-fetch-site": "same-site"}
        assert (await visitor.http.post(path, data={"csrf": token}, headers=beside)).status_code == 403
        assert (await visitor.http.post(path, data={"csrf": token})).status_code == 200
        in_header = {"x-csrf-token": token}
        assert (await visitor.http.post(path, data={"what": "x"}, headers=in_header)).status_code == 200


async def test_the_token_of_another_session_is_none(tmp_path: Path) -> None:
    async with browser(tmp_path, pages=(*PAGES, ACT)) as one, browser(tmp_path, pages=(*PAGES, ACT)) as other:
        await one.log_in("operator")
        await other.log_in("operator")
        answer = await one.http.post("/act/dukcapil.siak", data={"csrf": await other.csrf()})
        assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/static/console.css", "/metrics"])
async def test_every_answer_says_what_browsers_must_not_do(tmp_path: Path, path: str) -> None:
    async with browser(tmp_path) as visitor:
        answer = await visitor.http.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("template", sorted(path.name for path in (CONSOLE / "templates").iterdir()))
def test_no_template_has_script_or_style_within(template: str) -> None:
    text = (CONSOLE / "templates" / template).read_text()
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|\|\s*safe|hx-on|javascript:", text)


async def test_another_name_for_the_console_is_sent_to_its_own(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        answer = await visitor.http.get("/history?a=b", headers={"host": "evil.example"})
        assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:8460/history?a=b")
        assert (await visitor.http.post("/language", headers={"host": "evil.example"})).status_code == 421
        assert (await visitor.http.get("/live", headers={"host": "10.0.0.7:8460"})).status_code == 200


async def test_what_people_send_does_not_become_markup(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        await visitor.log_in("operator")
        answer = await visitor.get("/<script>alert(1)</script>")
        assert answer.status_code == 404
        assert "<script>alert" not in answer.text


async def test_a_language_is_what_was_chosen_else_what_the_browser_prefers(tmp_path: Path) -> None:
    async with browser(tmp_path, language="fr, en;q=0.7, id;q=0.5") as visitor:
        assert '<html lang="en">' in (await visitor.log_in("viewer")).text
        await visitor.post("/language", {"language": "id", "back": "//evil.example"})
        assert '<html lang="id">' in (await visitor.get("/")).text


async def test_nobody_is_sent_elsewhere_after_a_form(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        await visitor.log_in("viewer")
        answer = await visitor.post("/language", {"language": "en", "back": "//evil.example"})
        assert answer.headers["location"] == "/"


async def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        await visitor.log_in("viewer")
        copy = visitor.http.cookies["lintas_session"]
        await visitor.post("/sign-out")
        visitor.http.cookies.set("lintas_session", copy)
        assert (await visitor.http.get("/")).status_code == 303


def test_all_that_is_sent_to_browsers_is_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 200_000
