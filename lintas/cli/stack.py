"""``lintas stack``: what the production stack of docker-compose.yml needs before it can be started."""

import datetime as dt
import os
from pathlib import Path

import click

from lintas.cli.output import output_option, print_json, print_table

USUAL_OWNER = 10_001  # of no person; for a folder that root makes


class Owner(click.ParamType):
    """Takes a user and a group by their numbers, such as 10001:10001."""

    name = "UID:GID"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """User and group."""
        if isinstance(value, tuple):
            return value
        user, _, group = value.partition(":")
        if not (user.isdecimal() and group.isdecimal() and int(user) and int(group)):
            self.fail(f"the numbers of a user and a group that are not root's are wanted, not {value!r}", param, ctx)
        return int(user), int(group)


@click.group()
def stack() -> None:
    """Prepare the production stack (docker-compose.yml): secrets and certificates."""


@stack.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--domain", default="lintas.internal", show_default=True, help="servers are named below it: kafka-1.DOMAIN"
)
@click.option("--nodes", type=click.IntRange(min=3), default=3, show_default=True, help="number of Kafka brokers")
@click.option("--also", metavar="HOST", multiple=True, help="another name or address of every server; may be repeated")
@click.option("--owner", type=Owner(), help="whom services run as, by number; you, or 10001:10001 if you are root")
@click.option("--renew-certificates", is_flag=True, help="make the servers' certificates anew")
@output_option
def secrets(
    *,
    directory: Path,
    domain: str,
    nodes: int,
    also: tuple[str, ...],
    owner: tuple[int, int] | None,
    renew_certificates: bool,
    output: str,
) -> None:
    """Make the secrets of a stack in DIR: an authority, certificates, passwords, ids; print none of them.

    Files are readable by their owner alone. What exists stays as it is, so the same command again makes only what is
    missing, such as the certificate of one more broker; with --renew-certificates those of the servers are made anew,
    which takes ca-key.pem. Keep ca-key.pem off the machines that run the stack, and a copy of everything in a safe.
    DIR/stack.env holds nothing secret: `docker compose --env-file DIR/stack.env up`.
    """
    from lintas.stack.folder import StackFolder

    folder = StackFolder(directory, domain, nodes, also)
    made = folder.make(owner or _usual_owner(), dt.datetime.now(dt.UTC), renew=renew_certificates)
    if output == "json":
        print_json({"made": made, "expires": {path.name: moment for path, moment in folder.expiries().items()}})
        return
    print_table(
        ("certificate", "valid until"),
        [(path.name, f"{moment:%Y-%m-%d}") for path, moment in folder.expiries().items()],
    )
    click.echo(f"{len(made)} files made in {folder.path}" if made else f"nothing was missing in {folder.path}")


def _usual_owner() -> tuple[int, int]:
    return (os.getuid(), os.getgid()) if os.getuid() else (USUAL_OWNER, USUAL_OWNER)
