"""What the gateway asks of the bus: a few small interfaces, met by the real one and by one in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from lintas_client import Receipt
from lintas_client.delivery import Record
from lintas_client.preparation import Prepared
from lintas_client.wire.codec import Codec

from connectors.gateway.cursor import Cursors
from schemas.snapshot import Snapshot


class Outlet(Protocol):
    """Publishes for one system, with that system's rights."""

    async def send_prepared(self, event: Prepared) -> asyncio.Future[Receipt]:
        """Hand an event to the sender; the future is done once the bus holds it.

        Raises:
            ClientError: see lintas_client's ``Publisher.send_prepared``; here or from the future.
        """


class Reader(Protocol):
    """Reads one system's inbox; one task at a time uses it."""

    async def committed(self) -> dict[int, int]:
        """The acknowledged positions; partitions without one are left out."""

    async def commit(self, positions: Mapping[int, int]) -> None:
        """Acknowledge: keep the positions at the bus.

        Raises:
            Refused: 409: a Kafka client reads in the same group.
        """

    async def read(self, positions: Mapping[int, int], limit: int, seconds: float) -> Sequence[Record]:
        """Records from the positions on (the beginning, where there is none), as soon as there are any.

        Args:
            positions: the next offset by partition.
            limit: most records.
            seconds: how long to wait for a first one.
        """


class Bus(Protocol):
    """The bus, as far as the gateway needs it. Every method raises Refused (503) while the bus is away."""

    @property
    def snapshot(self) -> Snapshot:
        """The catalogue in force."""

    def serves(self, system: str) -> bool:
        """Whether the gateway has this system's credentials."""

    def cursors(self, system: str) -> Cursors:
        """What makes the system's cursors."""

    async def outlet(self, system: str) -> Outlet:
        """Where to publish as a system."""

    def retire(self, system: str, outlet: Outlet) -> None:
        """The outlet failed to deliver: make a new one the next time."""

    async def reader(self, system: str) -> Reader:
        """A reader of the system's inbox, for one task until it is given back."""

    async def give_back(self, system: str, reader: Reader, *, well: bool) -> None:
        """The task has done with the reader; not ``well``: it is not to be used again."""

    async def codec(self, schema_id: int) -> Codec:
        """The schema of an id; LookupError if there is none."""
