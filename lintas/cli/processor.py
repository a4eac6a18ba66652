"""``lintas processor``: programs that make new events of those they receive."""

import logging

import click

from lintas import logs
from lintas.cli.address import Address
from lintas.settings import Settings


@click.group()
def processor() -> None:
    """Run a processor: a system that reads its inbox and publishes derived events."""


@processor.command("vital-statistics")
@click.option(
    "--listen",
    type=Address(),
    help="where /metrics, /live, /ready and /startup are served; 127.0.0.1:9467, or another port if that is taken",
)
@click.option("--log-level", type=click.Choice(["info", "warning", "error"]), default="info", show_default=True)
def vital_statistics(*, listen: tuple[str, int] | None, log_level: str) -> None:
    """Count births, deaths and moves by province and day, for BPS.

    Reads the inbox of bps.vital-statistics and publishes id.go.bps.vital-statistics.computed.v1. Waits until the
    catalogue names the system; a second instance waits until the first is gone. SIGTERM ends it. Exit 0 stopped, 1
    something went wrong (see the log): started again, it goes on where it was, and counts nothing twice.
    """
    from prometheus_client import CollectorRegistry

    from lintas.cli.endpoints import serve_near
    from monitoring.processor_health import ProcessorWatch
    from streams.processors.vital_statistics import run

    logs.set_up("vital-statistics", log_level)
    logging.getLogger("streams.processors.faust_parts").setLevel(logging.WARNING)  # Faust speaks under its name
    watch = ProcessorWatch("vital-statistics")
    serve_near("vital-statistics", CollectorRegistry(), watch.health, listen, ("127.0.0.1", 9467))
    run(Settings(), log_level, watch)
