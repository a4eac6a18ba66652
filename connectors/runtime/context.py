"""What the runtime gives a connector to work with."""

import dataclasses
import logging

from lintas_client import Connection
from lintas_client.registry import Registry


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a connector is called, as whom it works, and how it looks up schemas.

    Attributes:
        name: of the connector, unique within the system.
        connection: the system's own.
        registry: event types and schemas, cached.
        log: records carry the connector's name; nothing personal goes there.
    """

    name: str
    connection: Connection
    registry: Registry = dataclasses.field(repr=False)
    log: logging.Logger = dataclasses.field(repr=False)

    @property
    def system(self) -> str:
        """The system that publishes or receives."""
        return self.connection.system
