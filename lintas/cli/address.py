"""An address on the command line: host and port."""

from typing import Any, Final

import click

LAST_PORT: Final = 65_535


class Address(click.ParamType):
    """Takes an address such as 127.0.0.1:9463 or [::1]:9463; port 0 is any that is free."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Host and port."""
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not (port.isascii() and port.isdigit()) or int(port) > LAST_PORT:
            self.fail(f"an address such as 127.0.0.1:9463 is wanted, not {value!r}", param, ctx)
        return host, int(port)
