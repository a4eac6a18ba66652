"""What the catalogue's check asks of the kinds of connectors that there are."""

from connectors.plugins import known
from connectors.runtime.validation import by_name, problems
from schemas.model import Connector


def check(connector: Connector) -> list[tuple[tuple[str | int, ...], str]]:
    """Every problem of a connector's kind and settings: see `schemas.validate.CheckConnector`."""
    return [
        (("config", *problem.path) if problem.path else ("plugin",), problem.message)
        for problem in problems(by_name(known.PLUGINS), connector.plugin, connector.config)
    ]
