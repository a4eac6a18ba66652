"""A small OpenID Connect provider for the bus on this machine: real tokens, demo people, loopback only.

It keeps codes in memory and signs with a key that lives as long as the process. It is no issuer for production: who can
read the folder of secrets can be anybody.
"""

import asyncio
import base64
import dataclasses
import secrets
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.datastructures import URL, FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from monitoring.console.people import DemoPerson
from monitoring.console.templates import Templates
from monitoring.console.texts import language_of, texts

CLIENT_ID: Final = "lintas-console"
CODE_SECONDS: Final = 60
TOKEN_SECONDS: Final = 300
WRONG_PASSWORD_SECONDS: Final = 1.0  # of waiting before the next may be tried
MOST_CODES: Final = 1_000
ALGORITHM: Final = "ES256"
_ASKED: Final = ("response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge")


@dataclasses.dataclass(frozen=True, slots=True)
class _Code:
    """What a code stands for until it is redeemed, once."""

    person: DemoPerson
    nonce: str
    challenge: str
    until: float


class EmbeddedIssuer:
    """The provider; mounted in the console itself."""

    def __init__(self, url: str, redirect_uri: str, people: Mapping[str, DemoPerson], templates: Templates) -> None:
        """``url`` is the issuer's; ``redirect_uri`` the one place that people are sent back to."""
        self.url, self._redirect_uri = url, redirect_uri
        self.client_secret = secrets.token_urlsafe(32)
        self._people, self._templates = people, templates
        self._key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig", "alg": ALGORITHM})
        self._codes: dict[str, _Code] = {}
        self._guessing = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Everything that it answers, below its address."""
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/jwks", self._jwks),
            Route("/authorize", self._ask, methods=["GET"]),
            Route("/authorize", self._authorize, methods=["POST"]),
            Route("/token", self._token, methods=["POST"]),
        ]

    async def _discovery(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
                "scopes_supported": ["openid", "profile"],
            }
        )

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(KeySet([self._key]).as_dict(private=False))

    async def _ask(self, request: Request) -> Response:
        if wrong := self._wrong(request.query_params):
            return JSONResponse({"error": "invalid_request", "error_description": wrong}, 400)
        return self._form(request, request.query_params, failed=False)

    async def _authorize(self, request: Request) -> Response:
        form = await request.form()
        asked = {name: str(form.get(name, "")) for name in _ASKED} | {
            "code_challenge_method": str(form.get("code_challenge_method", ""))
        }
        if wrong := self._wrong(asked):
            return JSONResponse({"error": "invalid_request", "error_description": wrong}, 400)
        person = await self._identified(form)
        if person is None:
            return self._form(request, asked, failed=True)
        now = time.monotonic()
        self._codes = {code: one for code, one in self._codes.items() if one.until > now}
        if len(self._codes) >= MOST_CODES:
            return JSONResponse({"error": "temporarily_unavailable"}, 503)
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(person, asked["nonce"], asked["code_challenge"], now + CODE_SECONDS)
        back = URL(self._redirect_uri).include_query_params(code=code, state=asked["state"], iss=self.url)
        return RedirectResponse(str(back), 303)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        if not self._is_client(request.headers.get("authorization", "")):
            return JSONResponse({"error": "invalid_client"}, 401, {"www-authenticate": "Basic"})
        code = self._codes.pop(str(form.get("code", "")), None)  # good for one try
        fits = (
            code is not None
            and time.monotonic() < code.until
            and form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == self._redirect_uri
            and create_s256_code_challenge(str(form.get("code_verifier", ""))) == code.challenge
        )
        if code is None or not fits:
            return JSONResponse({"error": "invalid_grant"}, 400)
        answer = {
            "access_token": secrets.token_urlsafe(24),  # opens nothing: everything is in the ID token
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "id_token": self.id_token(code.person, code.nonce),
        }
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    def id_token(self, person: DemoPerson, nonce: str) -> str:
        """An ID token for a person."""
        now = int(time.time())
        claims = {
            **person.claims,
            "iss": self.url,
            "sub": person.username,
            "aud": CLIENT_ID,
            "iat": now,
            "auth_time": now,
            "exp": now + TOKEN_SECONDS,
            "nonce": nonce,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key)

    def _wrong(self, asked: Mapping[str, str]) -> str:
        """What of an authorization request cannot be served; "" if nothing. Nobody is ever sent elsewhere."""
        expected = {
            "client_id": CLIENT_ID,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        wrong = [name for name, value in expected.items() if asked.get(name) != value]
        wrong += [name for name in ("state", "nonce", "code_challenge") if not asked.get(name)]
        wrong += [] if "openid" in asked.get("scope", "").split() else ["scope"]
        return ", ".join(wrong)

    async def _identified(self, form: FormData) -> DemoPerson | None:
        person = self._people.get(str(form.get("username", "")))
        given = str(form.get("password", "")).encode()
        right = secrets.compare_digest(given, person.password.encode() if person else secrets.token_bytes(16))
        if person is not None and right:
            return person
        async with self._guessing:  # one after the other, however many try at once
            await asyncio.sleep(WRONG_PASSWORD_SECONDS)
        return None

    def _form(self, request: Request, asked: Mapping[str, str], *, failed: bool) -> Response:
        hidden = {name: asked[name] for name in (*_ASKED, "code_challenge_method")}
        page = self._templates.render(
            "issuer.html",
            texts(language_of(request)),
            hidden=hidden,
            action=f"{self.url}/authorize",
            people=list(self._people),
            failed=failed,
            session=None,
            path=request.url.path,
        )
        return HTMLResponse(page, 401 if failed else 200)

    def _is_client(self, authorization: str) -> bool:
        kind, _, value = authorization.partition(" ")
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return False
        sent = f"{unquote(name)}:{unquote(secret)}".encode()
        return kind.lower() == "basic" and secrets.compare_digest(sent, f"{CLIENT_ID}:{self.client_secret}".encode())
