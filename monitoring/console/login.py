"""Logging in by OpenID Connect: authorization code with PKCE, and an ID token that is checked before it is believed."""

import dataclasses
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lintas.settings import Settings
from monitoring.console.identity import NoPerson, Person, person_of

DISCOVERY: Final = "/.well-known/openid-configuration"
ALGORITHMS: Final = tuple(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))  # never HMAC
LEEWAY_SECONDS: Final = 30
TIMEOUT_SECONDS: Final = 10.0
METADATA_SECONDS: Final = 3_600.0
REFETCH_SECONDS: Final = 10.0  # keys are not asked for more often, whatever forged tokens name


class LoginRefused(Exception):
    """Nobody has logged in: {reason}.

    The reason is one of ours, or a code of the issuer's; never a value of a token.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class IssuerUnavailable(Exception):
    """The issuer of identities does not answer as it should; the text says how, without secrets."""


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """What the issuer knows the console as.

    Attributes:
        issuer: its address, as ID tokens name it.
        secret: "" for a client without one.
        redirect_uri: where it sends people back to.
        roles_claim: see identity.person_of.
        agency_claim: likewise.
    """

    issuer: str
    client_id: str
    secret: str = dataclasses.field(repr=False)
    redirect_uri: str = ""
    roles_claim: str = "roles"
    agency_claim: str = "agency"


class Login:
    """Sends people to the issuer, and makes persons of what they bring back."""

    def __init__(self, client: Client, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport``: how to reach the issuer, if not by the network."""
        self._client = client
        self._http = httpx.AsyncClient(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=transport is None)
        self._metadata: dict[str, Any] = {}
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_at = -REFETCH_SECONDS

    async def close(self) -> None:
        """Close what is open towards the issuer."""
        await self._http.aclose()

    async def begin(self) -> tuple[str, dict[str, str]]:
        """Where to send somebody, and what must be remembered of it until they are back.

        Raises:
            IssuerUnavailable: it does not answer.
        """
        metadata = await self._discover()
        login = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
        }
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": "openid profile",
            "state": login["state"],
            "nonce": login["nonce"],
            "code_challenge": create_s256_code_challenge(login["verifier"]),
            "code_challenge_method": "S256",
        }
        return str(httpx.URL(metadata["authorization_endpoint"]).copy_merge_params(query)), login

    async def finish(self, answer: Mapping[str, str], login: Mapping[str, Any] | None) -> Person:
        """Who has come back.

        Args:
            answer: the query that the issuer sent them back with.
            login: what was remembered; None if nothing was.

        Raises:
            LoginRefused: the answer does not fit, or its token is not to be believed.
            IssuerUnavailable: it does not answer.
        """
        if login is None:
            raise LoginRefused("it was not begun here, or too long ago")
        if not secrets.compare_digest(answer.get("state", "").encode(), str(login["state"]).encode()):
            raise LoginRefused("the answer belongs to another login (state)")
        if answer.get("iss", self._client.issuer) != self._client.issuer:  # RFC 9207
            raise LoginRefused("the answer comes from another issuer (iss)")
        if "code" not in answer:
            error = answer.get("error", "")
            raise LoginRefused(error if error.isascii() and error.replace("_", "").isalpha() else "no code came")
        token = await self._exchange(answer["code"], str(login["verifier"]))
        claims = await self._verified(token, str(login["nonce"]))
        try:
            return person_of(claims, roles_claim=self._client.roles_claim, agency_claim=self._client.agency_claim)
        except NoPerson as error:
            raise LoginRefused(str(error)) from error

    async def _exchange(self, code: str, verifier: str) -> str:
        metadata = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "code_verifier": verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth: httpx.BasicAuth | None = None
        if self._client.secret and "client_secret_basic" in methods:
            auth = httpx.BasicAuth(self._client.client_id, self._client.secret)
        else:
            form["client_id"] = self._client.client_id
            if self._client.secret:
                form["client_secret"] = self._client.secret
        try:
            request = self._http.build_request("POST", metadata["token_endpoint"], data=form)
            answer = await self._http.send(request, auth=auth)
            token = answer.json().get("id_token") if answer.is_success else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise IssuerUnavailable(f"its token endpoint: {type(error).__name__}") from error
        if not isinstance(token, str):
            raise LoginRefused(f"the issuer gave no ID token (HTTP {answer.status_code})")
        return token

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        try:
            try:
                decoded = jwt.decode(token, await self._key_set(), algorithms=ALGORITHMS)
            except (JoseError, ValueError):  # perhaps signed with a key that is new
                decoded = jwt.decode(token, await self._key_set(anew=True), algorithms=ALGORITHMS)
            claims: dict[str, Any] = decoded.claims
            registry = jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self._client.issuer},
                aud={"essential": True, "value": self._client.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise LoginRefused(
                f"the ID token is not to be believed ({getattr(error, 'error', 'malformed')})"
            ) from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client.client_id) != self._client.client_id:
            raise LoginRefused("the ID token was made for another program (azp)")
        return claims

    async def _discover(self) -> dict[str, Any]:
        if time.monotonic() < self._metadata_until:
            return self._metadata
        found = await self._get(self._client.issuer.rstrip("/") + DISCOVERY)
        if found.get("issuer") != self._client.issuer:
            raise IssuerUnavailable("its discovery document is another issuer's")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if missing := [name for name in needed if not isinstance(found.get(name), str)]:
            raise IssuerUnavailable(f"its discovery document lacks {', '.join(missing)}")
        self._metadata, self._metadata_until = found, time.monotonic() + METADATA_SECONDS
        return found

    async def _key_set(self, *, anew: bool = False) -> KeySet:
        due = self._keys is None or (anew and time.monotonic() > self._keys_at + REFETCH_SECONDS)
        if due:
            metadata = await self._discover()
            keys: Any = await self._get(metadata["jwks_uri"])
            try:
                self._keys = KeySet.import_key_set(keys)
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise IssuerUnavailable("its keys cannot be read") from error
            self._keys_at = time.monotonic()
        assert self._keys is not None, "they are due if there are none"
        return self._keys

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(url)
            answer.raise_for_status()
            value = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise IssuerUnavailable(f"{url}: {type(error).__name__}") from error
        if not isinstance(value, dict):
            raise IssuerUnavailable(f"{url}: it is not a JSON object")
        return value


def client_of(settings: Settings, redirect_uri: str, secret: str) -> Client:
    """The console as the issuer of the settings knows it."""
    assert settings.oidc_issuer is not None, "the caller has seen to it"
    return Client(
        settings.oidc_issuer,
        settings.oidc_client_id,
        secret,
        redirect_uri,
        settings.oidc_roles_claim,
        settings.oidc_agency_claim,
    )
