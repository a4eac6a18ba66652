"""Who may ask the gateway: access tokens, the embedded issuer that gives them, and limits of each system."""

import asyncio
import errno
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from gateway_memory import BMKG, BNPB, URL, MemoryBus, Visitor, structured, visiting
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

from connectors.gateway import token_issuer
from connectors.gateway.app import build
from connectors.gateway.callers import Callers
from connectors.gateway.incoming import BATCH
from connectors.gateway.limits import Limits
from connectors.gateway.live import LiveBus
from connectors.gateway.refusal import Refused
from connectors.gateway.token_issuer import ASSERTION, make_missing_secrets, public_key_file, secret_file
from lintas.cli import gateway
from lintas.cli.gateway import url_of
from lintas.credentials import create
from lintas.errors import BadSettings
from lintas.issuer import Issuer
from lintas.settings import Settings

ISSUER = "https://issuer.example"
KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
TOKENS = f"{URL}/issuer/token"
GRANT = {"grant_type": "client_credentials"}
CLAIMS: Mapping[str, Any] = {"iss": ISSUER, "aud": "lintas-gateway", "client_id": BMKG}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of credentials of two systems."""
    monkeypatch.setattr(token_issuer, "WRONG_SECRET_SECONDS", 0.0)
    settings = Settings(home=tmp_path)
    for principal in (BMKG, BNPB, "lintas.worker", "admin"):
        create(settings, principal)
    make_missing_secrets(settings.secrets)
    return settings.secrets


def test_only_systems_get_a_secret_that_only_its_owner_can_read_and_it_stays(secrets: Path) -> None:
    made = {path.name: path.read_text() for path in secrets.glob("*.client-secret")}
    assert set(made) == {f"{BMKG}.client-secret", f"{BNPB}.client-secret"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets.glob("*.client-secret"))
    make_missing_secrets(secrets)
    assert {path.name: path.read_text() for path in secrets.glob("*.client-secret")} == made


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_system_gets_a_token_for_its_secret_and_is_let_in(
    tmp_path: Path, secrets: Path, by_header: bool
) -> None:
    secret = secret_file(secrets, BMKG).read_text().strip()
    async with visiting(tmp_path) as visitor:
        if by_header:
            answer = await visitor.http.post(TOKENS, data=GRANT, auth=(BMKG, secret))
        else:
            answer = await visitor.http.post(TOKENS, data={**GRANT, "client_id": BMKG, "client_secret": secret})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await visitor.http.get("/event-types", headers=bearer)).status_code == 200


@pytest.mark.parametrize(
    ("form", "auth", "status", "error"),
    [
        (GRANT, (BMKG, "wrong"), 401, "invalid_client"),
        (GRANT, ("nobody.at-all", ""), 401, "invalid_client"),
        (GRANT, ("../admin", "x"), 401, "invalid_client"),
        (GRANT, ("lintas.worker", "x"), 401, "invalid_client"),
        (GRANT, None, 401, "invalid_client"),
        ({"grant_type": "password"}, "right", 400, "unsupported_grant_type"),
        ({}, "right", 400, "invalid_request"),
        ([("grant_type", "client_credentials")] * 2, "right", 400, "invalid_request"),
    ],
)
async def test_whoever_does_not_show_who_it_is_gets_none(
    tmp_path: Path, secrets: Path, form: Any, auth: Any, status: int, error: str
) -> None:
    if auth == "right":
        auth = (BMKG, secret_file(secrets, BMKG).read_text().strip())
    content = str(httpx.QueryParams(form))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with visiting(tmp_path) as visitor:
        answer = await visitor.http.post(TOKENS, content=content, headers=headers, auth=auth)
        assert (answer.status_code, answer.json()["error"]) == (status, error)


def assertion(key: Any = KEY, **others: Any) -> str:
    now = int(time.time())
    claims = {"iss": BMKG, "sub": BMKG, "aud": TOKENS, "exp": now + 60, "jti": "a1"} | others
    return jwt.encode({"alg": "ES256" if key is KEY else "RS256"}, {k: v for k, v in claims.items() if v}, key)


async def ask(visitor: Visitor, signed: str, **others: str) -> int:
    form = {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": signed, **others}
    return (await visitor.http.post(TOKENS, data=form)).status_code


async def test_a_system_shows_who_it_is_by_a_jwt_that_it_signs_once(tmp_path: Path, secrets: Path) -> None:
    public_key_file(secrets, BMKG).write_bytes(KEY.as_pem(private=False))
    async with visiting(tmp_path) as visitor:
        assert await ask(visitor, assertion()) == 200
        assert await ask(visitor, assertion()) == 401  # used
        assert await ask(visitor, assertion(jti="a2", aud=f"{URL}/issuer")) == 200
        public_key_file(secrets, BMKG).write_bytes(RSA.as_pem(private=False))
        assert await ask(visitor, assertion(RSA, jti="a3")) == 200
        assert await ask(visitor, assertion(RSA, jti="a4"), client_id=BNPB) == 401  # not who signs


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_a_system_may_sign_with_ed25519_under_its_name_of_today_and_of_old(
    tmp_path: Path, secrets: Path, algorithm: str
) -> None:
    key = OKPKey.generate_key("Ed25519")
    public_key_file(secrets, BMKG).write_bytes(key.as_pem(private=False))
    claims = {"iss": BMKG, "sub": BMKG, "aud": TOKENS, "exp": int(time.time()) + 60, "jti": "a1"}
    async with visiting(tmp_path) as visitor:
        assert await ask(visitor, jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])) == 200


@pytest.mark.parametrize(
    "others",
    [
        {"iss": BNPB},
        {"sub": BNPB},
        {"sub": "../admin", "iss": "../admin"},
        {"aud": "https://elsewhere.example"},
        {"exp": int(time.time()) - 3_600},
        {"exp": int(time.time()) + 86_400},  # too long
        {"exp": None},
        {"jti": None},
    ],
)
async def test_a_jwt_of_a_system_that_does_not_fit_is_refused(
    tmp_path: Path, secrets: Path, others: dict[str, Any]
) -> None:
    public_key_file(secrets, BMKG).write_bytes(KEY.as_pem(private=False))
    async with visiting(tmp_path) as visitor:
        assert await ask(visitor, assertion(**others)) == 401
        assert await ask(visitor, "a.b.c") == 401


def issuer_of(serve: Callable[[httpx.Request], httpx.Response]) -> Callers:
    return Callers(Issuer(ISSUER, httpx.MockTransport(serve)), "lintas-gateway", "client_id")


def serving(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/jwks":
        return httpx.Response(200, json=KeySet([KEY]).as_dict(private=False))
    return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"})


def signed(key: Any = KEY, alg: str = "ES256", **others: Any) -> str:
    claims = {**CLAIMS, "exp": int(time.time()) + 60} | others
    return jwt.encode(
        {"alg": alg, "kid": "one"}, {name: value for name, value in claims.items() if value is not None}, key, [alg]
    )


async def test_a_token_of_the_configured_issuer_names_the_system() -> None:
    callers = issuer_of(serving)
    assert (await callers.caller([f"Bearer {signed()}"])).system == BMKG
    nested = Callers(callers.issuer, "lintas-gateway", "lintas.system")
    assert (await nested.caller([f"bearer {signed(lintas={'system': BNPB})}"])).system == BNPB


async def test_a_token_is_checked_again_after_a_while_and_never_believed_beyond_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers, token, began = issuer_of(serving), f"Bearer {signed()}", time.time()
    await callers.caller([token])
    monkeypatch.setattr(callers, "issuer", None)  # not asked
    assert (await callers.caller([token])).system == BMKG
    monkeypatch.setattr(callers, "issuer", issuer_of(serving).issuer)
    monkeypatch.setattr("time.time", lambda: began + 100)  # the token ended after 60 s, and 30 are forgiven
    with pytest.raises(Refused):
        await callers.caller([token])


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        ["Basic eDp5"],
        ["Bearer "],
        [f"Bearer {signed()}", f"Bearer {signed()}"],
        ["Bearer a.b.c"],
        ["Bearer eyJhbGciOiJub25lIn0.e30."],
        [f"Bearer {signed(aud='lintas-console')}"],
        [f"Bearer {signed(iss='https://other.example')}"],
        [f"Bearer {signed(exp=1)}"],
        [f"Bearer {signed(exp=None)}"],
        [f"Bearer {signed(client_id=None)}"],
        [f"Bearer {signed(client_id='../../etc/passwd')}"],
        [f"Bearer {signed(client_id=['a.b'])}"],
        [f"Bearer {signed(ECKey.generate_key('P-256', {'kid': 'one'}))}"],
        [f"Bearer {signed(OctKey.import_key('a shared secret of 32 bytes or more'), 'HS256')}"],
    ],
)
async def test_what_is_no_token_of_the_issuer_for_us_lets_nobody_in(authorization: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        await issuer_of(serving).caller(authorization)
    assert refused.value.status == 401
    assert refused.value.headers["www-authenticate"].startswith("Bearer ")
    assert "eyJ" not in str(refused.value.body())


async def test_an_issuer_that_is_away_is_told_as_such() -> None:
    with pytest.raises(Refused) as refused:
        await issuer_of(lambda _: httpx.Response(500)).caller([f"Bearer {signed()}"])
    assert refused.value.status == 503


async def test_a_key_that_the_issuer_withdrew_is_not_believed_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[Key] = [KEY]
    now = time.monotonic()

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/jwks":
            return httpx.Response(200, json=KeySet(keys).as_dict(private=False))
        return serving(request)

    callers = issuer_of(serve)
    await callers.caller([f"Bearer {signed()}"])
    keys[:] = [ECKey.generate_key("P-256", {"kid": "two", "alg": "ES256"})]
    monkeypatch.setattr("time.monotonic", lambda: now + 4_000)
    with pytest.raises(Refused):
        await callers.caller([f"Bearer {signed(jti='another')}"])


async def test_forged_tokens_do_not_make_the_gateway_ask_an_issuer_that_is_away_again_and_again() -> None:
    asked, away = list[str](), False

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(500) if away else serving(request)

    callers = issuer_of(serve)
    await callers.caller([f"Bearer {signed()}"])
    away, callers.issuer._keys_at = True, time.monotonic() - 60
    forged = [f"Bearer {signed(ECKey.generate_key('P-256', {'kid': 'one'}))}" for _ in range(5)]
    statuses = []
    for token in forged:
        with pytest.raises(Refused) as refused:
            await callers.caller([token])
        statuses.append(refused.value.status)
    assert (statuses, asked.count("/jwks")) == ([503, 401, 401, 401, 401], 2)


@pytest.mark.parametrize("system", ["djp.coretax", "lintas.worker", "lintas.canary"])
async def test_a_system_whose_credentials_are_elsewhere_is_not_served(tmp_path: Path, system: str) -> None:
    async with visiting(tmp_path) as visitor:
        answer = await visitor.get("/event-types", system)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:lintas:problem:not-entitled")


async def test_a_system_that_sends_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with visiting(tmp_path, gateway_events_per_second=0.1) as visitor:
        batch = json.dumps([structured(number) for number in range(5)]).encode()
        assert (await visitor.post(batch, {"content-type": BATCH})).status_code == 200
        limited = await visitor.get("/event-types", BMKG)
        assert (limited.status_code, limited.json()["type"]) == (429, "urn:lintas:problem:too-many-requests")
        assert int(limited.headers["retry-after"]) >= 1
        assert (await visitor.get("/event-types", BNPB)).status_code == 200  # others are not concerned


def test_an_allowance_comes_back_with_time_and_open_requests_are_counted() -> None:
    now, met = 0.0, list[str]()
    limits = Limits(10, 2, 1_000, met.append, lambda: now)
    with limits.request(BMKG):
        limits.spend(BMKG, 150)
    with pytest.raises(Refused) as refused, limits.request(BMKG):
        pass
    assert refused.value.headers["retry-after"] == "5"
    now = 5.1
    with limits.request(BMKG), limits.request(BMKG), pytest.raises(Refused), limits.request(BMKG):
        pass
    with limits.request(BMKG):
        pass
    assert met == [BMKG] * 2


async def test_a_system_s_requests_hold_no_more_in_memory_than_one_system_may(tmp_path: Path) -> None:
    bus = MemoryBus()
    bus.silent = True
    body = json.dumps([structured()]).encode()
    sizes: dict[str, Any] = {"gateway_body_bytes": len(body), "gateway_request_seconds": 2}
    async with visiting(tmp_path, bus, **sizes) as visitor:
        answers = await asyncio.gather(*(visitor.post(body, {"content-type": BATCH}) for _ in range(6)))
        assert sorted(one.status_code for one in answers) == [429] * 2 + [503] * 4  # none is confirmed
        bus.silent = False
        assert (await visitor.post(body, {"content-type": BATCH})).status_code == 200


async def test_systems_get_their_secret_though_it_could_not_be_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, written = 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def make(_: Path) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        if tries == 3:
            loop.call_soon_threadsafe(written.set)

    monkeypatch.setattr(token_issuer, "make_missing_secrets", make)
    monkeypatch.setattr(gateway, "SECRETS_SECONDS", 0.01)
    bus = LiveBus(Settings(home=tmp_path, bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1"))
    monkeypatch.setattr(bus, "start", AsyncMock())
    async with gateway._running(Settings(home=tmp_path), bus, own_issuer=True):
        await asyncio.wait_for(written.wait(), 5)


def test_the_embedded_issuer_is_for_this_machine_alone(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="LINTAS_GATEWAY_ISSUER"):
        build(Settings(home=tmp_path), MemoryBus(), "https://gateway.example.go.id")
    build(Settings(home=tmp_path, gateway_issuer=ISSUER), MemoryBus(), "https://gateway.example.go.id")


@pytest.mark.parametrize(
    ("settings", "host", "told"),
    [
        ({}, "0.0.0.0", "LINTAS_GATEWAY_ISSUER"),
        ({"gateway_url": URL}, "0.0.0.0", "LINTAS_GATEWAY_ISSUER"),  # wherever it says it is
        ({"gateway_key_file": "key.pem"}, "127.0.0.1", "only one is set"),
        (
            {"gateway_certificate_file": "no.pem", "gateway_key_file": "key.pem"},
            "127.0.0.1",
            "LINTAS_GATEWAY_CERTIFICATE_FILE",
        ),
        (
            {"gateway_certificate_file": __file__, "gateway_key_file": __file__},
            "127.0.0.1",
            "LINTAS_GATEWAY_CERTIFICATE_FILE",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(
    tmp_path: Path, settings: dict[str, Any], host: str, told: str
) -> None:
    with pytest.raises(BadSettings, match=told):
        url_of(Settings(home=tmp_path, **settings), host, 8090)
