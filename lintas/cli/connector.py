"""``lintas connector``: what joins systems to the bus that do not speak Kafka."""

import click

from lintas.cli.connector_run import run


@click.group()
def connector() -> None:
    """Run connectors, and see to them."""


connector.add_command(run)
