"""Connections to the addresses that were checked, and to no others."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import httpcore

from connectors.plugins.webhook.addresses import why_forbidden

Resolve = Callable[[str, int], Awaitable[list[str]]]
_MOST_TRIED: Final = 4


class ForbiddenAddress(httpcore.ConnectError):
    """A name leads to addresses to which nothing may be sent."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system's resolver gives them.

    Raises:
        OSError: it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once for each connection and connects to an address that was checked, never to the name.

    So a name that changes its mind between check and connection (DNS rebinding) gains nothing. Host header and TLS
    server name stay the URL's: httpcore takes them from there.
    """

    def __init__(self, *, allow_private: bool, resolving: Resolve = resolve) -> None:
        """``resolving`` finds the addresses of a host."""
        self._allow_private = allow_private
        self._resolve = resolving
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's name
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of ``host`` that is in order and answers.

        Raises:
            ForbiddenAddress: none of its addresses is in order.
            httpcore.ConnectError: it has no address, or none answers.
        """
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the name has no address: {error.strerror or error}") from None
        reasons = {address: why_forbidden(address, allow_private=self._allow_private) for address in addresses}
        allowed = [address for address, reason in reasons.items() if reason is None]
        if not allowed:
            # Not the addresses: whoever may set a URL would learn what names mean inside.
            raise ForbiddenAddress("; ".join(sorted({reason for reason in reasons.values() if reason})) or "none")
        failure: Exception = httpcore.ConnectError("no address was tried")
        tried = allowed[:_MOST_TRIED]
        each = None if timeout is None else timeout / len(tried)  # one that says nothing leaves time for the others
        for address in tried:
            try:
                return await self._plain.connect_tcp(address, port, each, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own retries; it is asked for none."""
        await asyncio.sleep(seconds)
