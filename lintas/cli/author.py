"""Who answers for what a command changes."""

import getpass
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def author_option(command: F) -> F:
    """Give a command ``--author``, passed to it as ``author``: by default who runs it, and where."""
    return click.option(
        "--author",
        default=lambda: f"{getpass.getuser()}@{socket.gethostname()}",
        show_default="user@host",
        help="who answers for it; kept for ever",
    )(command)
