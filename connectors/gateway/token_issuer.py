"""A small OAuth 2.0 issuer for the bus on this machine: real tokens for its systems, loopback only.

Systems show who they are by a secret, which lies in the folder of credentials beside the system's own, or by a
JWT that they sign (RFC 7523), whose public key lies there. It is no issuer for production: its key lives as long as
the process, and who can read the folder can be any system.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, import_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.gateway.callers import SYSTEM
from connectors.gateway.request_body import body_of
from lintas import names
from lintas.credentials import write_private
from lintas.issuer import ALGORITHMS, LEEWAY_SECONDS

TOKEN_SECONDS: Final = 300
ASSERTION_SECONDS: Final = 300  # how far ahead a client's JWT may end
WRONG_SECRET_SECONDS: Final = 1.0  # of waiting before the next may be tried
MOST_BODY_BYTES: Final = 16_384
MOST_ASSERTIONS: Final = 10_000
ALGORITHM: Final = "ES256"
CLIENT_ALGORITHMS: Final = (*ALGORITHMS, "Ed25519", "EdDSA")  # the last one's name is of old (RFC 9864)
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_KEYS: Final[tuple[tuple[type, Literal["EC", "RSA", "OKP"]], ...]] = (
    (EllipticCurvePublicKey, "EC"),
    (RSAPublicKey, "RSA"),
    (Ed25519PublicKey, "OKP"),
)
_CREDENTIALS: Final = ".properties"
_NO_STORE: Final = {"cache-control": "no-store"}


def secret_file(folder: Path, system: str) -> Path:
    """Where a system's secret at the issuer is."""
    return folder / f"{system}.client-secret"


def public_key_file(folder: Path, system: str) -> Path:
    """Where the key is that a system's own JWTs are checked with: PEM, put there by people."""
    return folder / f"{system}.client-key.pem"


def make_missing_secrets(folder: Path) -> None:
    """A secret for every system that has credentials and none yet."""
    for path in folder.glob(f"*{_CREDENTIALS}"):
        system = path.name.removesuffix(_CREDENTIALS)
        if SYSTEM.fullmatch(system) and not names.is_bus_name(system) and not secret_file(folder, system).exists():
            write_private(secret_file(folder, system), secrets.token_urlsafe(24) + "\n")


class TokenIssuer:
    """The issuer; mounted in the gateway itself."""

    def __init__(self, url: str, audience: str, folder: Path) -> None:
        """``url`` is the issuer's, ``folder`` that of the systems' credentials."""
        self.url, self._audience, self._folder = url, audience, folder
        self._key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig", "alg": ALGORITHM})
        self._assertions: dict[tuple[str, str], float] = {}  # used JWTs of clients, until they end
        self._guessing = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Everything that it answers, below its address."""
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/.well-known/oauth-authorization-server", self._discovery),
            Route("/jwks", self._jwks),
            Route("/token", self._token, methods=["POST"]),
        ]

    def token(self, system: str, seconds: int = TOKEN_SECONDS) -> str:
        """An access token for a system (RFC 9068)."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": system,
            "client_id": system,
            "aud": self._audience,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid, "typ": "at+jwt"}, claims, self._key)

    async def _discovery(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                    "private_key_jwt",
                ],
                "token_endpoint_auth_signing_alg_values_supported": CLIENT_ALGORITHMS,
            }
        )

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(KeySet([self._key]).as_dict(private=False))

    async def _token(self, request: Request) -> Response:
        try:
            pairs = parse_qsl((await body_of(request, MOST_BODY_BYTES, 10)).decode(), keep_blank_values=True)
        except ValueError:
            return _error("invalid_request")
        form = dict(pairs)
        if len(form) < len(pairs):  # RFC 6749, section 3.2: no parameter twice
            return _error("invalid_request")
        system = await self._identified(request.headers.get("authorization", ""), form)
        if system is None:
            headers = {"www-authenticate": 'Basic realm="lintas"'}
            told = {
                "error": "invalid_client",
                "error_description": "no such system, or its secret or assertion is wrong; the secret is in "
                "<secrets>/<system>.client-secret where the gateway runs",
            }
            return JSONResponse(told, 401, headers | _NO_STORE)
        if form.get("grant_type") != "client_credentials":
            return _error("unsupported_grant_type" if form.get("grant_type") else "invalid_request")
        answer = {"access_token": self.token(system), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return JSONResponse(answer, headers=_NO_STORE)

    async def _identified(self, authorization: str, form: Mapping[str, str]) -> str | None:
        """The system that has shown who it is."""
        if form.get("client_assertion_type") == ASSERTION:
            named = self._by_assertion(form.get("client_assertion", ""))
            return named if named == form.get("client_id", named) else None  # RFC 7521, section 4.2
        system, given = form.get("client_id", ""), form.get("client_secret", "")
        if authorization:
            system, given = _basic(authorization)
        secret = self._secret(system)
        right = secrets.compare_digest(given.encode(), (secret or secrets.token_urlsafe(24)).encode())
        if secret is not None and right:
            return system
        async with self._guessing:  # one after the other, however many try at once
            await asyncio.sleep(WRONG_SECRET_SECONDS)
        return None

    def _secret(self, system: str) -> str | None:
        if not SYSTEM.fullmatch(system):
            return None
        try:
            return secret_file(self._folder, system).read_text().strip() or None
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def _by_assertion(self, assertion: str) -> str | None:
        """RFC 7523, section 3: issuer and subject are the client, the audience is us, soon over, used once."""
        try:
            system = _unverified_subject(assertion)
            claims = jwt.decode(assertion, self._client_key(system), algorithms=CLIENT_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": system},
                sub={"essential": True, "value": system},
                aud={"essential": True, "values": [self.url, f"{self.url}/token"]},
                exp={"essential": True},
                jti={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError, StopIteration):
            return None
        now = time.time()
        self._assertions = {used: until for used, until in self._assertions.items() if until > now}
        used = (system, str(claims["jti"]))
        too_long = claims["exp"] > now + ASSERTION_SECONDS + LEEWAY_SECONDS
        if too_long or used in self._assertions or len(self._assertions) >= MOST_ASSERTIONS:
            return None
        self._assertions[used] = claims["exp"] + LEEWAY_SECONDS
        return system

    def _client_key(self, system: str) -> Key:
        if not SYSTEM.fullmatch(system):
            raise ValueError(system)
        pem = public_key_file(self._folder, system).read_bytes()
        loaded = load_pem_public_key(pem)
        return import_key(pem, next(name for kind, name in _KEYS if isinstance(loaded, kind)))


def _unverified_subject(assertion: str) -> str:
    return str(json.loads(jws.extract_compact(assertion.encode()).payload)["sub"])


def _basic(authorization: str) -> tuple[str, str]:
    """Name and secret of HTTP Basic, each form-encoded (RFC 6749, section 2.3.1)."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote(name), unquote(secret)


def _error(error: str) -> Response:
    return JSONResponse({"error": error}, 400, _NO_STORE)
