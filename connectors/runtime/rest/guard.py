"""Who may speak with the REST API: whoever has the token; without one, programs of this machine, and no web page."""

import hmac
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.runtime.rest.errors import refusal

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Guard:
    """Refuses requests before they are read."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        """``token`` is asked for as ``Authorization: Bearer``; None: whoever reaches the address may speak."""
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "http" and (wrong := self._wrong(Request(scope))):
            response = refusal(*wrong)
            if wrong[0] == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _wrong(self, request: Request) -> tuple[HTTPStatus, str] | None:
        if self._token is not None:
            kind, _, given = request.headers.get("authorization", "").partition(" ")
            if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode()):
                return None
            return HTTPStatus.UNAUTHORIZED, "the token is missing or wrong: Authorization: Bearer TOKEN"
        # A web page that somebody has open here reaches loopback too: it says where it is from, or uses another name.
        if "origin" in request.headers or request.url.hostname not in LOOPBACK:
            return HTTPStatus.FORBIDDEN, "without a token only programs of this machine may ask, at its own address"
        return None
