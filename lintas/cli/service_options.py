"""Options that the long-running programs have in common."""

from collections.abc import Callable
from typing import Any, Final

import click

from lintas.cli.address import Address

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

log_level: Final[Decorator] = click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)


def every(seconds: float, what: str) -> Decorator:
    """How often it does what it does; ``seconds`` if nobody says."""
    return click.option(
        "--every",
        type=click.FloatRange(min=0, min_open=True),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help=what,
    )


def listen(usual: str, what: str = "where metrics are served") -> Decorator:
    """Where it answers; at the ``usual`` address if nobody says."""
    return click.option("--listen", type=Address(), default=usual, show_default=True, help=what)
