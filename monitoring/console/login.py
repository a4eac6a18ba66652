"""Logging in by OpenID Connect: authorization code with PKCE, and an ID token that is checked before it is believed."""

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any, Final

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from lintas.issuer import Issuer, IssuerUnavailable, TokenRefused
from lintas.settings import Settings
from monitoring.console.identity import NoPerson, Person, person_of

_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class LoginRefused(Exception):
    """Nobody has logged in: {reason}.

    The reason is one of ours, or a code of the issuer's; never a value of a token.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


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
        self._issuer = Issuer(client.issuer, transport)

    async def close(self) -> None:
        """Close what is open towards the issuer."""
        await self._issuer.close()

    async def begin(self) -> tuple[str, dict[str, str]]:
        """Where to send somebody, and what must be remembered of it until they are back.

        Raises:
            IssuerUnavailable: it does not answer.
        """
        metadata = await self._issuer.metadata(*_ENDPOINTS)
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
        metadata = await self._issuer.metadata(*_ENDPOINTS)
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
            request = self._issuer.http.build_request("POST", metadata["token_endpoint"], data=form)
            answer = await self._issuer.http.send(request, auth=auth)
            token = answer.json().get("id_token") if answer.is_success else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise IssuerUnavailable(f"its token endpoint: {type(error).__name__}") from error
        if not isinstance(token, str):
            raise LoginRefused(f"the issuer gave no ID token (HTTP {answer.status_code})")
        return token

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        try:
            claims = await self._issuer.claims(
                token,
                aud={"essential": True, "value": self._client.client_id},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
        except TokenRefused as error:
            raise LoginRefused(f"the ID token is not to be believed ({error})") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client.client_id) != self._client.client_id:
            raise LoginRefused("the ID token was made for another program (azp)")
        return claims


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
