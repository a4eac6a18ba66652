"""``lintas bookkeeper``: the books of the bus, kept up while it runs, as metrics."""

import datetime as dt
import signal
import sys

import click

from lintas import logs
from lintas.cli import service_options
from lintas.cli.endpoints import serve_or_misuse
from lintas.cli.moment import Moment
from lintas.settings import Settings

USUAL_PERIOD = dt.timedelta(hours=24)


@click.command()
@click.option(
    "--from", "since", type=Moment(), help="only events that were published then or later; 24 hours ago if not given"
)
@service_options.every(10, "from the beginning of one round to that of the next")
@service_options.listen("127.0.0.1:9463")
@service_options.log_level
def bookkeeper(*, since: dt.datetime | None, every: float, listen: tuple[str, int], log_level: str) -> None:
    """Keep the books of the bus while it runs, and show as Prometheus metrics whether they balance.

    Does what `lintas balance` does, round after round, reading only what is new; GET /metrics tells what the last round
    found, /live, /ready and /startup how the bookkeeper is. A difference is logged when it appears and when it is gone,
    with topic, partition and offset. Writes nothing anywhere: killed and started again, it finds the same. Where Kafka
    is away it waits for it. SIGTERM ends it. Exit 0 stopped, 1 something went wrong (see the log), 2 misuse.
    """
    from prometheus_client import CollectorRegistry

    from monitoring.book_metrics import BookMetrics
    from monitoring.bookkeeper import Bookkeeper

    logs.set_up("bookkeeper", log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # at any moment: there is nothing to be lost
    settings, metrics = Settings(), BookMetrics()
    keeper = Bookkeeper(settings, since or dt.datetime.now(dt.UTC) - USUAL_PERIOD, metrics)
    registry = CollectorRegistry()
    registry.register(metrics)
    serve_or_misuse("bookkeeper", registry, keeper.health, listen)
    keeper.run(every)
