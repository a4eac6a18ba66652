"""Logging in at the embedded issuer from end to end, and every answer that must not be believed."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
from console_visits import URL, Browser, StillBus, browser, hidden_fields
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.requests import HTTPConnection
from starlette.responses import Response

from lintas.errors import BadSettings
from lintas.issuer import IssuerUnavailable
from lintas.settings import Settings
from monitoring.console.app import build
from monitoring.console.identity import Person, Role
from monitoring.console.login import Client, Login, LoginRefused
from monitoring.console.people import demo_people, people_file
from monitoring.console.sessions import Session, Sessions

ISSUER = "https://issuer.example"
KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"})
OTHER_KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"})


async def test_each_demo_person_logs_in_and_is_who_the_file_says(tmp_path: Path) -> None:
    for username, person in demo_people(Settings(home=tmp_path)).items():
        async with browser(tmp_path) as visitor:
            page = await visitor.log_in(username)
            assert page.status_code == 200
            assert person.claims["name"] in page.text


def test_the_passwords_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first = demo_people(settings)
    assert first == demo_people(settings)
    assert len({one.password for one in first.values()}) == len(first)
    assert people_file(settings).stat().st_mode & 0o077 == 0
    assert all(one.password not in repr(one) for one in first.values())


async def test_a_wrong_password_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.console.issuer.WRONG_PASSWORD_SECONDS", 0.0)
    async with browser(tmp_path) as visitor:
        form = hidden_fields((await visitor.get("/")).text)
        for username in ("operator", "nobody"):
            answer = await visitor.http.post("/issuer/authorize", data=form | {"username": username, "password": "x"})
            assert answer.status_code == 401
        assert (await visitor.http.get("/")).status_code == 303


async def test_people_come_back_to_the_page_that_they_wanted(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        assert str((await visitor.log_in("viewer", "/history?search=x")).url) == f"{URL}/history?search=x"


async def test_nobody_is_sent_elsewhere_after_logging_in(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example"):
            answer = await visitor.log_in("viewer", f"/login?next={elsewhere}")
            assert str(answer.url) == f"{URL}/"
            await visitor.post("/sign-out")


async def answer_of(visitor: Browser) -> Mapping[str, str]:
    """The query that the issuer sends an operator back with."""
    form = hidden_fields((await visitor.get("/")).text)
    people = demo_people(visitor.settings)
    given = form | {"username": "operator", "password": people["operator"].password}
    answer = await visitor.http.post("/issuer/authorize", data=given)
    return dict(httpx.URL(answer.headers["location"]).params)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"state": "another"}, "state"),
        ({"code": "another"}, "HTTP 400"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"code": None, "error": "access_denied"}, "access_denied"),
        ({"code": None, "error": "<script>"}, "no code came"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused(
    tmp_path: Path, changed: Mapping[str, str | None], says: str
) -> None:
    async with browser(tmp_path) as visitor:
        query = {name: value for name, value in {**await answer_of(visitor), **changed}.items() if value is not None}
        answer = await visitor.http.get("/signed-in", params=query)
        assert answer.status_code == 403
        assert says in answer.text
        assert "lintas_session" not in answer.cookies


async def test_a_code_is_good_once(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        query = await answer_of(visitor)
        login = visitor.http.cookies["lintas_login"]
        assert (await visitor.http.get("/signed-in", params=query)).status_code == 303
        visitor.http.cookies.set("lintas_login", login)
        assert (await visitor.http.get("/signed-in", params=query)).status_code == 403


async def test_the_answer_of_another_browser_is_refused(tmp_path: Path) -> None:
    async with browser(tmp_path) as one, browser(tmp_path) as other:
        query = await answer_of(one)
        await other.get("/")
        assert (await other.http.get("/signed-in", params=query)).status_code == 403


async def test_without_a_login_that_was_begun_there_is_none_to_finish(tmp_path: Path) -> None:
    async with browser(tmp_path) as visitor:
        assert (await visitor.http.get("/signed-in?code=x&state=y")).status_code == 403


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/signed-in"},
        {"client_id": "another"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"scope": "profile"},
        {"response_type": "token"},
    ],
)
async def test_the_issuer_serves_no_other_request(tmp_path: Path, changed: Mapping[str, str]) -> None:
    async with browser(tmp_path) as visitor:
        form = {**hidden_fields((await visitor.get("/")).text), **changed}
        assert (await visitor.http.get("/issuer/authorize", params=form)).status_code == 400
        assert (await visitor.http.post("/issuer/authorize", data=form)).status_code == 400


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"authorization": "Basic bGludGFzOng="}])
async def test_the_issuer_gives_tokens_to_its_client_alone(tmp_path: Path, headers: Mapping[str, str]) -> None:
    async with browser(tmp_path) as visitor:
        form = {"grant_type": "authorization_code", "code": (await answer_of(visitor))["code"]}
        assert (await visitor.http.post("/issuer/token", data=form, headers=headers)).status_code == 401


@pytest.mark.parametrize("url", ["http://10.1.2.3:8460", "https://lintas.example.go.id"])
def test_the_embedded_issuer_is_for_loopback_only(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSettings, match="LINTAS_OIDC_ISSUER"):
        build(Settings(home=tmp_path), StillBus(), url)


# --- an issuer elsewhere, whose tokens a test makes -------------------------------------------------------------------

Forge = Callable[[dict[str, Any]], str]


def signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, KEY)


def signed_by_another(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, OTHER_KEY)


def unsigned(claims: dict[str, Any]) -> str:
    head, body, _ = signed(claims).split(".")
    return f"{head}.{body}."


def altered(claims: dict[str, Any]) -> str:
    head, _, signature = signed(claims).split(".")
    return f"{head}.{signed({**claims, 'roles': ['operator', 'auditor']}).split('.')[1]}.{signature}"


def claims_of(nonce: str) -> dict[str, Any]:
    now = int(time.time())
    who = {"iss": ISSUER, "sub": "s-1", "aud": "lintas-console", "name": "Somebody", "roles": ["operator"]}
    return who | {"nonce": nonce, "iat": now, "exp": now + 60}


def login_at(forge: Forge, change: Mapping[str, Any], nonce: list[str]) -> Login:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/openid-configuration"):
            paths = {"authorization_endpoint": "/a", "token_endpoint": "/t", "jwks_uri": "/k"}
            return httpx.Response(200, json={"issuer": ISSUER} | {name: ISSUER + path for name, path in paths.items()})
        if request.url.path == "/k":
            return httpx.Response(200, json=KeySet([KEY]).as_dict(private=False))
        claims = {name: value for name, value in {**claims_of(nonce[0]), **change}.items() if value is not None}
        return httpx.Response(200, json={"id_token": forge(claims)})

    client = Client(ISSUER, "lintas-console", "secret", f"{URL}/signed-in")
    return Login(client, httpx.MockTransport(answer))


async def outcome(forge: Forge, change: Mapping[str, Any]) -> Person:
    nonce: list[str] = []
    login = login_at(forge, change, nonce)
    _, remembered = await login.begin()
    nonce.append(remembered["nonce"])
    return await login.finish({"code": "c", "state": remembered["state"]}, remembered)


async def test_a_token_that_is_right_makes_a_person() -> None:
    person = await outcome(signed, {})
    assert person == Person("Somebody", "s-1", frozenset({Role.OPERATOR}))


@pytest.mark.parametrize("forge", [signed_by_another, unsigned, altered, lambda _: "nonsense"])
async def test_a_forged_token_is_not_believed(forge: Forge) -> None:
    with pytest.raises(LoginRefused, match="not to be believed"):
        await outcome(forge, {})


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["lintas-console", "another"], "azp": "another"},
        {"aud": ["lintas-console", "another"]},  # of several audiences one must be named
        {"sub": None},
        {"sub": ""},
        {"iat": int(time.time()) + 3600},
    ],
)
async def test_a_token_for_somebody_or_something_else_is_not_believed(change: Mapping[str, Any]) -> None:
    with pytest.raises(LoginRefused):
        await outcome(signed, change)


async def test_an_issuer_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    async with browser(tmp_path, oidc_issuer="http://127.0.0.1:9/none") as visitor:
        answer = await visitor.get("/")
        assert answer.status_code == 503
        assert "ConnectError" in answer.text


async def test_the_discovery_document_of_another_issuer_is_not_taken() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"issuer": "https://evil.example"})

    login = Login(Client(ISSUER, "lintas-console", "", f"{URL}/signed-in"), httpx.MockTransport(answer))
    with pytest.raises(IssuerUnavailable, match="another issuer"):
        await login.begin()


# --- sessions ---------------------------------------------------------------------------------------------------------


def request(cookie: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"cookie", f"lintas_session={cookie}".encode())]})


def written(sessions: Sessions, session: Session) -> Morsel[str]:
    response = Response()
    sessions.write(response, session)
    return SimpleCookie(response.headers["set-cookie"])["lintas_session"]


@dataclasses.dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock, key: str = "k" * 32) -> Sessions:
    return Sessions(key, lasts_seconds=1_000, idle_seconds=100, secure=True, clock=clock)


def test_a_session_ends_after_idleness_and_after_its_time() -> None:
    clock = Clock()
    sessions = made(clock)
    cookie = written(sessions, sessions.open(Person("P", "p", frozenset({Role.VIEWER}))))
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "lax"
    for _ in range(11):
        clock.now += 90
        found = sessions.of(request(cookie.value))
        assert found is not None
        cookie = written(sessions, found)
    clock.now += 90
    assert sessions.of(request(cookie.value)) is None


def test_a_session_that_nobody_uses_ends_sooner() -> None:
    clock = Clock()
    sessions = made(clock)
    cookie = written(sessions, sessions.open(Person("P", "p", frozenset())))
    clock.now += 101
    assert sessions.of(request(cookie.value)) is None


def test_a_cookie_that_was_altered_or_signed_with_another_key_is_none() -> None:
    clock = Clock()
    session = made(clock).open(Person("P", "p", frozenset()))
    other, own = (written(made(clock, key), session).value for key in ("another" * 5, "k" * 32))
    assert made(clock).of(request(own)) == session
    for forged in (other, own[:-1], own[1:], ""):
        assert made(clock).of(request(forged)) is None
