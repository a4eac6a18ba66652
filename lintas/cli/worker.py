"""``lintas worker``: one lane worker, as production runs it."""

import click

from lintas import logs
from lintas.settings import Settings


@click.command()
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def worker(log_level: str) -> None:
    """Run lanes: route, release and audit events.

    Any number of workers share the lanes of a bus; one that dies is replaced by the others within seconds. SIGTERM
    finishes the batch under way and hands the lanes over. A lane that needs a person says so in the log, and `lintas
    lanes show` tells which. Exit 0 stopped, 1 something went wrong (see the log).
    """
    from faust import Worker

    from streams.app import lane_app

    logs.set_up("worker", log_level)
    app = lane_app(Settings())
    Worker(
        app, loglevel=log_level, redirect_stdouts=False, override_logging=False, quiet=True
    ).execute_from_commandline()
