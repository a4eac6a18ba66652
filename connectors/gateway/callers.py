"""Who asks: a bearer token (RFC 6750) of the issuer, whose claim names a system."""

import dataclasses
import hashlib
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from connectors.gateway.refusal import Refused, unavailable
from lintas.issuer import Issuer, IssuerUnavailable, TokenRefused

SYSTEM: Final = re.compile(r"[a-z][a-z0-9-]{0,39}\.[a-z][a-z0-9-]{0,39}", re.ASCII)
BELIEVED_SECONDS: Final = 60.0  # a token is not checked again before
MOST_BELIEVED: Final = 1_000
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE | re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """A system that has shown who it is.

    Attributes:
        until: when its token ends, in seconds of the epoch.
    """

    system: str
    until: float


class Callers:
    """Tells who asks."""

    def __init__(self, issuer: Issuer, audience: str, system_claim: str) -> None:
        """Tokens must be of the ``issuer``, for the ``audience``, and name the system in a claim."""
        self.issuer = issuer
        self._audience, self._claim = audience, system_claim
        self._believed: dict[bytes, tuple[Caller, float]] = {}  # by the token's digest, until when

    async def caller(self, authorization: list[str]) -> Caller:
        """The system that a request's Authorization headers stand for.

        Raises:
            Refused: 401, or 503 while the issuer's keys cannot be had.
        """
        if not authorization:
            raise _unknown("No access token came with the request.")
        found = _BEARER.fullmatch(authorization[0].strip()) if len(authorization) == 1 else None
        if found is None:
            raise _unknown("The Authorization header is not one bearer token.", "invalid_request")
        digest, now = hashlib.sha256(found[1].encode()).digest(), time.time()
        caller, until = self._believed.get(digest, (None, 0.0))
        if caller is None or now >= until:
            caller = await self._checked(found[1])
            if len(self._believed) >= MOST_BELIEVED:
                self._believed.clear()
            self._believed[digest] = caller, min(caller.until, now + BELIEVED_SECONDS)
        return caller

    async def _checked(self, token: str) -> Caller:
        try:
            claims = await self.issuer.claims(token, aud={"essential": True, "value": self._audience})
        except TokenRefused as error:
            raise _unknown(f"The access token is not to be believed ({error}).", "invalid_token") from None
        except IssuerUnavailable as error:
            raise unavailable(f"The issuer of access tokens cannot be asked: {error}.") from None
        system = _at(claims, self._claim)
        if not isinstance(system, str) or not SYSTEM.fullmatch(system):
            raise _unknown(f"The access token's claim {self._claim} names no system.", "invalid_token")
        return Caller(system, float(claims["exp"]))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _unknown(detail: str, error: str = "") -> Refused:
    challenge = 'Bearer realm="lintas"' + (f', error="{error}"' if error else "")
    return Refused(
        "unauthenticated",
        detail,
        cause="The token has ended, was made for another service or by another issuer, or was left out.",
        remedy="Get a new one at the issuer's token endpoint (OAuth 2.0, client_credentials) and send it as "
        "`Authorization: Bearer <token>`.",
        headers={"www-authenticate": challenge},
    )
