"""``lintas canary``: one synthetic event after the other through the whole path, as metrics."""

import asyncio
import signal
import sys

import click

from lintas import logs
from lintas.cli import service_options
from lintas.cli.endpoints import serve_or_misuse
from lintas.settings import Settings


@click.command()
@service_options.every(5, "from one event to the next")
@service_options.listen("127.0.0.1:9466")
@service_options.log_level
def canary(*, every: float, listen: tuple[str, int], log_level: str) -> None:
    """Send an event through the whole path every few seconds, and show as Prometheus metrics how long it takes.

    Publishes lintas.bus.canary.sent.v1 as lintas.canary and reads it from that system's own inbox, as any agency would:
    client, Kafka, lane, agreement, release. What arrives is held to the agreement: nothing twice, each key in order,
    masked what is to be masked, nothing that is not released. Event type and agreement are part of every catalogue that
    is applied, and nobody else can be given the events; they hold nothing of anybody. GET /metrics, /live, /ready (an
    event has come round) and /startup tell how it is. Waits until a catalogue is applied, and for Kafka. SIGTERM ends
    it. Exit 0 stopped, 1 something went wrong (see the log), 2 misuse.
    """
    from prometheus_client import CollectorRegistry

    from monitoring import spans
    from monitoring.canary import Canary
    from monitoring.canary_metrics import CanaryMetrics

    logs.set_up("canary", log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # at any moment: there is nothing to be lost
    registry = CollectorRegistry()
    sends = Canary(Settings(), every, CanaryMetrics(registry), spans.start("canary"))
    serve_or_misuse("canary", registry, sends.health, listen)
    asyncio.run(sends.run())
