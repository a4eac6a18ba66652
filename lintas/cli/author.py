"""Who answers for what a command changes."""

import getpass
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from streams.acts_log import Actor

COMMAND_LINE: Final = "command line"  # the role in which its acts are recorded
F = TypeVar("F", bound=Callable[..., Any])


def author_option(command: F) -> F:
    """Give a command ``--author``, passed to it as ``author``: by default who runs it, and where."""
    return click.option(
        "--author",
        default=lambda: f"{getpass.getuser()}@{socket.gethostname()}",
        show_default="user@host",
        help="who answers for it; kept for ever",
    )(command)


def as_actor(author: str) -> "Actor":
    """The author of a command, as the log of acts has them."""
    from streams.acts_log import Actor

    return Actor(author, COMMAND_LINE, socket.gethostname(), "lintas")
