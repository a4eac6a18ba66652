"""The issuer of tokens that a service trusts: what it says of itself, its keys, and which of its tokens to believe."""

import time
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

DISCOVERY: Final = "/.well-known/openid-configuration"
ALGORITHMS: Final = tuple(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))  # never HMAC
LEEWAY_SECONDS: Final = 30
TIMEOUT_SECONDS: Final = 10.0
METADATA_SECONDS: Final = 3_600.0
KEYS_SECONDS: Final = 3_600.0  # a key that the issuer has withdrawn is believed no longer
REFETCH_SECONDS: Final = 10.0  # keys are not asked for more often, whatever forged tokens name
# What a token that somebody made up can lead a parser to.
_MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class IssuerUnavailable(Exception):
    """The issuer does not answer as it should; the text says how, without secrets."""


class TokenRefused(Exception):
    """A token is not to be believed; the text is a code, never a value of the token."""


class Issuer:
    """One issuer: found by discovery (RFC 8414, OpenID Connect Discovery 1.0), its keys fetched when needed."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``url`` is the issuer as its tokens name it; ``transport``: how to reach it, if not by the network."""
        self.url = url
        self.http = httpx.AsyncClient(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=transport is None)
        self._metadata: dict[str, Any] = {}
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    async def close(self) -> None:
        """Close what is open towards the issuer."""
        await self.http.aclose()

    async def metadata(self, *needed: str) -> dict[str, Any]:
        """What the issuer says of itself; the members ``needed`` are texts.

        Raises:
            IssuerUnavailable: it does not answer, or says too little.
        """
        if time.monotonic() >= self._metadata_until:
            found = await self._get(self.url.rstrip("/") + DISCOVERY)
            if found.get("issuer") != self.url:
                raise IssuerUnavailable("its discovery document is another issuer's")
            self._metadata, self._metadata_until = found, time.monotonic() + METADATA_SECONDS
        if missing := [name for name in needed if not isinstance(self._metadata.get(name), str)]:
            self._metadata_until = 0.0
            raise IssuerUnavailable(f"its discovery document lacks {', '.join(missing)}")
        return self._metadata

    async def claims(self, token: str, **rules: Any) -> dict[str, Any]:
        """The claims of a token that this issuer signed and that is in force; ``rules`` as joserfc's registry has them.

        Raises:
            TokenRefused: it is not to be believed.
            IssuerUnavailable: the issuer's keys cannot be had.
        """
        try:
            try:
                decoded = jwt.decode(token, await self._key_set(), algorithms=ALGORITHMS)
            except _MALFORMED:  # perhaps signed with a key that is new
                decoded = jwt.decode(token, await self._key_set(anew=True), algorithms=ALGORITHMS)
            claims: dict[str, Any] = decoded.claims
            essential: dict[str, Any] = {"iss": {"essential": True, "value": self.url}, "exp": {"essential": True}}
            jwt.JWTClaimsRegistry(leeway=LEEWAY_SECONDS, **(essential | rules)).validate(claims)
        except _MALFORMED as error:
            raise TokenRefused(getattr(error, "error", "malformed")) from error
        return claims

    async def _key_set(self, *, anew: bool = False) -> KeySet:
        age = time.monotonic() - self._keys_at
        if self._keys is None or age > KEYS_SECONDS or (anew and age > REFETCH_SECONDS):
            self._keys_at = time.monotonic()  # before it is asked: others wait for no answer that it may not give
            metadata = await self.metadata("jwks_uri")
            keys: Any = await self._get(metadata["jwks_uri"])
            try:
                self._keys = KeySet.import_key_set(keys)
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise IssuerUnavailable("its keys cannot be read") from error
        return self._keys

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = await self.http.get(url)
            answer.raise_for_status()
            value = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise IssuerUnavailable(f"{url}: {type(error).__name__}") from error
        if not isinstance(value, dict):
            raise IssuerUnavailable(f"{url}: it is not a JSON object")
        return value
