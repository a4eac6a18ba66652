"""``lintas connector``: what joins systems to the bus that do not speak Kafka."""

import asyncio
import signal

import click

from lintas import logs
from lintas.cli import service_options
from lintas.settings import Settings


@click.group()
def connector() -> None:
    """Run connectors, and see to them."""


@connector.command()
@click.option("--system", "systems", multiple=True, metavar="SYSTEM", help="only of this system; may be given again")
@service_options.listen("127.0.0.1:8083", "where REST, metrics and health are served")
@service_options.log_level
def run(*, systems: tuple[str, ...], listen: tuple[str, int], log_level: str) -> None:
    """Run connectors of systems whose credentials are here."""
    from connectors.plugins import known
    from connectors.runtime.runtime import ConnectorRuntime
    from connectors.runtime.validation import by_name

    logs.set_up("connector", log_level)
    host, port = listen

    async def serve() -> None:
        runtime = ConnectorRuntime(Settings(), by_name(known.PLUGINS), worker=f"{host}:{port}", systems=systems)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, runtime.stop)
        await runtime.run()

    asyncio.run(serve())
