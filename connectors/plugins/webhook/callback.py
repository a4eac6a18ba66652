"""Where a receiver gives its permission later (CloudEvents webhook specification, section 4.1.3)."""

import asyncio
import contextlib
import hashlib
import hmac
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, Self

import uvicorn

from connectors.plugins.webhook.handshake import Denied, rate
from connectors.plugins.webhook.settings import WebhookConfig, secret_text

_FOUND, _BAD, _MISSING = 200, 400, 404

Granted = Callable[[int | None], None]


class Callback:
    """A small HTTP server: GET or POST with the right key means permission, anything else is not found.

    The key is derived from a secret, the receiver's URL and our origin: one receiver's key opens nothing for another.
    """

    def __init__(self, url: str, listen: tuple[str, int], key: str, granted: Granted, asked: int | None) -> None:
        """``url`` is what the receiver is told; ``asked`` is the rate it is asked for."""
        self.url = url
        self._key = key
        self._granted = granted
        self._asked = asked
        self._listen = listen
        self._server = _Quiet(
            uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_config=None, access_log=False)
        )
        self._serving: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, config: WebhookConfig, connector: str, granted: Granted) -> Self:
        """The callback that settings describe; they are valid and complete."""
        assert config.callback_url is not None
        assert config.callback_listen is not None
        assert config.callback_key_file is not None
        secret = secret_text(config.callback_key_file).encode()
        named = f"{connector}\n{config.url}\n{config.origin}".encode()
        key = hmac.digest(secret, named, hashlib.sha256).hex()
        query = urllib.parse.urlencode({"id": connector, "key": key})
        separator = "&" if "?" in config.callback_url else "?"
        host, _, port = config.callback_listen.rpartition(":")
        url = f"{config.callback_url}{separator}{query}"
        return cls(url, (host.strip("[]"), int(port)), key, granted, config.rate_per_minute)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        # Bound here: uvicorn ends the process where it cannot bind.
        bound = socket.create_server(self._listen, family=socket.AF_INET6 if ":" in self._listen[0] else socket.AF_INET)
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))

    async def stop(self) -> None:
        """Listen no longer."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving

    async def _app(self, scope: dict[str, Any], _receive: Any, send: Any) -> None:
        status, text = self._answered(scope) if scope["type"] == "http" else (_MISSING, "not found")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    def _answered(self, scope: dict[str, Any]) -> tuple[int, str]:
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        keys = query.get("key", [""])
        right = len(keys) == 1 and hmac.compare_digest(keys[0].encode(), self._key.encode())
        if scope["method"] not in ("GET", "POST") or not right:
            return _MISSING, "not found"
        given = dict(scope["headers"]).get(b"webhook-allowed-rate")
        try:
            self._granted(rate(None if given is None else given.decode("latin-1"), self._asked))
        except Denied as error:
            return _BAD, str(error)
        return _FOUND, "permission given"


class _Quiet(uvicorn.Server):
    """Leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
