"""HTTP to one receiver: its URL and nothing else, no redirects, no proxies, no cookies, a limit to everything."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, Protocol

import httpcore

from connectors.plugins.webhook.answers import Answer, NoAnswer
from connectors.plugins.webhook.network import ForbiddenAddress, PinnedNetwork
from connectors.plugins.webhook.settings import WebhookConfig

_MOST_READ: Final = 64 * 1024  # bytes of an answer's body, which says nothing to us; beyond it the connection is closed
_KEEP_ALIVE_SECONDS: Final = 1.5  # shorter than servers keep them: they would close one while we write to it
_AGENT: Final = "Lintas-Webhook"


class Receiver(Protocol):
    """Answers requests."""

    async def request(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send one request and read the answer.

        Raises:
            NoAnswer: none came.
        """

    async def close(self) -> None:
        """Let go of the connections."""


class HttpReceiver:
    """A receiver at a URL."""

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext,
        network: httpcore.AsyncNetworkBackend,
        seconds: float,
        connections: int,
    ) -> None:
        """``seconds`` is for a whole request, from the name's resolution to the answer's end."""
        self._url = url
        self._seconds = seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=network,
            max_connections=connections,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        )

    async def request(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """See `Receiver`."""
        steps = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        sent = {"User-Agent": _AGENT, "Accept": "*/*", **headers}
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._pool.stream(
                    method, self._url, headers=list(sent.items()), content=body, extensions={"timeout": steps}
                ) as response,
            ):
                await _read(response)
                return Answer(response.status, _headers(response))
        except ForbiddenAddress as error:
            raise NoAnswer("forbidden-address", f"its name leads where nothing may be sent ({error})") from None
        except (TimeoutError, httpcore.TimeoutException):
            raise NoAnswer("timeout", f"it did not answer within {self._seconds:g} s") from None
        except (httpcore.ConnectError, ssl.SSLError) as error:
            raise NoAnswer("unreachable", f"it cannot be reached: {error}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NoAnswer("broken-answer", f"its answer broke off or is no HTTP: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._pool.aclose()


def http_receiver(config: WebhookConfig) -> Receiver:
    """The receiver that settings name."""
    return HttpReceiver(
        config.url,
        tls=config.tls(),
        network=PinnedNetwork(allow_private=config.allow_private),
        seconds=config.timeout_seconds,
        connections=config.concurrency + 1,  # one for the handshake
    )


async def _read(response: httpcore.Response) -> None:
    """Read a short answer to its end, so that the connection can be used again; leave a long one."""
    size = 0
    async for part in response.aiter_stream():
        size += len(part)
        if size > _MOST_READ:
            return


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
