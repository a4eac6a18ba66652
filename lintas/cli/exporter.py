"""``lintas exporter``: what Kafka and the other servers know of the bus, as metrics."""

import asyncio
import signal
import sys

import click

from lintas import logs
from lintas.cli import service_options
from lintas.cli.endpoints import serve_or_misuse
from lintas.settings import Settings


@click.command()
@service_options.every(5, "from the beginning of one round to that of the next")
@service_options.listen("127.0.0.1:9465")
@service_options.log_level
def exporter(*, every: float, listen: tuple[str, int], log_level: str) -> None:
    """Look at the bus from outside, and show as Prometheus metrics how far everybody is.

    Asks Kafka, the registry and PostgreSQL every few seconds: lag of the lanes in events and seconds, readers of
    inboxes, agreements that are set aside, letters that wait, brokers and partitions. GET /metrics is answered from the
    last complete round and asks nobody; /live, /ready and /startup tell how the exporter is. Writes nothing anywhere.
    Where Kafka is away it says so (lintas_exporter_up 0) and goes on asking. SIGTERM ends it. Exit 0 stopped, 1
    something went wrong (see the log), 2 misuse.
    """
    from prometheus_client import CollectorRegistry

    from monitoring.exporter import Exporter

    logs.set_up("exporter", log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # at any moment: there is nothing to be lost
    exports = Exporter(Settings(), every)
    registry = CollectorRegistry()
    registry.register(exports)
    serve_or_misuse("exporter", registry, exports.health, listen)
    asyncio.run(exports.run())
