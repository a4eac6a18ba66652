"""The real bus as the gateway sees it: the catalogue in force, one publisher a system kept open, readers of inboxes."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import lintas_client
from lintas_client.registry import Registry
from lintas_client.wire.codec import Codec

from connectors.gateway.bus import Outlet, Reader
from connectors.gateway.cursor import Cursors
from connectors.gateway.entitlements import codec_of
from connectors.gateway.kafka_reader import KafkaReader
from connectors.gateway.refusal import Refused, unavailable
from lintas import credentials, names
from lintas.connection import connection_of
from lintas.errors import CatalogueError, MissingCredentials
from lintas.settings import Settings
from schemas.publication import CatalogueFollower
from schemas.snapshot import Snapshot

IDLE_READERS: Final = 2  # of one system, kept for the next request
IDLE_SECONDS: Final = 60.0  # ... for so long: they ask Kafka for records all the time
RETRY_SECONDS: Final = 1.0  # a publisher that could not connect is not tried again before

log = logging.getLogger(__name__)


class LiveBus:
    """A bus that runs, and the systems whose credentials lie in one folder."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected before :meth:`start`.

        Raises:
            BadSettings: no bus runs here and the environment names none.
        """
        self._settings = settings
        self._systems = settings.model_copy(update={"secrets_dir": folder(settings)})
        self._follower = CatalogueFollower(settings, names.GATEWAY)
        self._outlets: dict[str, lintas_client.Publisher] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failures: dict[str, tuple[float, Refused]] = {}
        self._idle: defaultdict[str, list[KafkaReader]] = defaultdict(list)
        self._closing: set[asyncio.Task[None]] = set()
        self._codecs: dict[int, Codec] = {}
        settings.brokers, settings.registry  # noqa: B018  refuse now what can never work

    async def start(self) -> None:
        """Begin to follow the catalogue; returns at once.

        Raises:
            MissingCredentials: the gateway's own are not there.
        """
        credentials.load(self._settings, names.GATEWAY)
        await self._follower.start()

    async def stop(self) -> None:
        """Wait until what was sent is acknowledged, and disconnect."""
        await self._follower.stop()
        readers = [reader for idle in self._idle.values() for reader in idle]
        await asyncio.gather(
            *(_closed(one) for one in self._outlets.values()), *(one.stop() for one in readers), *self._closing
        )

    def problem(self) -> str:
        """Why nothing can be served; empty if it can."""
        try:
            return "" if self._follower.current is not None else "no catalogue has been read yet"
        except CatalogueError as error:
            return str(error)

    @property
    def snapshot(self) -> Snapshot:
        """See `Bus`."""
        try:
            current = self._follower.current
        except CatalogueError:
            raise unavailable("The catalogue in force cannot be used.", seconds=30) from None
        if current is None:
            raise unavailable("No catalogue is in force, or none has been read yet.")
        return current[1]

    def serves(self, system: str) -> bool:
        """See `Bus`."""
        return not names.is_bus_name(system) and credentials.path_of(self._systems, system).exists()

    def cursors(self, system: str) -> Cursors:
        """See `Bus`."""
        return Cursors(system, self._connection(system).password)

    async def outlet(self, system: str) -> Outlet:
        """See `Bus`."""
        if system not in self._outlets:
            async with self._locks[system]:
                if system not in self._outlets:
                    self._outlets[system] = await self._connected(system)
        return self._outlets[system]

    def retire(self, system: str, outlet: Outlet) -> None:
        """See `Bus`."""
        if self._outlets.get(system) is outlet:
            publisher = self._outlets.pop(system)
            log.warning("%s: its publisher failed and is replaced", system, extra={"system": system})
            self._in_background(_closed(publisher))

    async def reader(self, system: str) -> Reader:
        """See `Bus`."""
        if system not in self.snapshot.consumers():
            raise Refused(
                "not-found",
                f"{system} has no inbox.",
                cause="No agreement in the catalogue in force names it as the consumer.",
                remedy="GET /agreements shows what it receives.",
            )
        partitions = self.snapshot.system(system).inbox_partitions
        while self._idle[system]:
            idle = self._idle[system].pop()
            if idle.partitions == partitions:
                return idle
            self._in_background(idle.stop())  # the inbox was made anew
        connection = self._connection(system)
        with _told(system):
            return await KafkaReader.started(connection, partitions)

    async def give_back(self, system: str, reader: Reader, *, well: bool) -> None:
        """See `Bus`."""
        assert isinstance(reader, KafkaReader), "readers come from here"
        if well and not reader.failed and len(self._idle[system]) < IDLE_READERS:
            self._idle[system].append(reader)
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go, system, reader)
        else:
            self._in_background(reader.stop())

    def _let_go(self, system: str, reader: KafkaReader) -> None:
        if reader in self._idle[system]:
            self._idle[system].remove(reader)
            self._in_background(reader.stop())

    async def codec(self, schema_id: int) -> Codec:
        """See `Bus`."""
        if schema_id not in self._codecs:
            for agreement in self.snapshot.agreements.values():
                if agreement.released.id == schema_id:
                    self._codecs[schema_id] = codec_of(agreement.released)
                    break
            else:  # of an earlier catalogue
                async with self._registry() as registry:
                    self._codecs[schema_id] = await registry.codec(schema_id)
        return self._codecs[schema_id]

    @contextlib.asynccontextmanager
    async def _registry(self) -> AsyncIterator[Registry]:
        registry = Registry(self._connection(names.GATEWAY, self._settings))
        try:
            yield registry
        except lintas_client.BusUnreachable:
            raise unavailable("The schema registry does not answer.") from None
        finally:
            await registry.close()

    async def _connected(self, system: str) -> lintas_client.Publisher:
        until, failure = self._failures.get(system, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise failure
        publisher = lintas_client.Publisher(self._connection(system))
        try:
            with _told(system):
                return await publisher.__aenter__()
        except Refused as refused:
            self._failures[system] = (time.monotonic() + RETRY_SECONDS, refused)
            raise

    def _connection(self, system: str, settings: Settings | None = None) -> lintas_client.Connection:
        try:
            connection = connection_of(settings or self._systems, system)
        except MissingCredentials:
            raise not_served(system) from None
        if connection.system != system:
            log.critical("%s: its file of credentials is another system's", system, extra={"system": system})
            raise not_served(system)
        return connection

    def _in_background(self, closing: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def folder(settings: Settings) -> Path:
    """The folder with the credentials of the systems that the gateway speaks for."""
    return settings.gateway_systems_dir or settings.secrets


def not_served(system: str) -> Refused:
    """The gateway has no credentials of a system."""
    return Refused(
        "not-entitled",
        f"This gateway does not speak for {system}.",
        cause="The system is not in the catalogue, or its credentials were not given to this gateway.",
        remedy="Ask the operator of the bus to put the system's credentials where the gateway finds them.",
    )


async def _closed(publisher: lintas_client.Publisher) -> None:
    with contextlib.suppress(lintas_client.ClientError):
        await publisher.__aexit__(None, None, None)


@contextlib.contextmanager
def _told(system: str) -> Iterator[None]:
    """Errors of the client as refusals."""
    try:
        yield
    except lintas_client.NotEntitled:
        raise Refused(
            "not-entitled",
            f"The bus lets {system} publish nothing.",
            cause="The catalogue in force names it as publisher of no event type.",
            remedy="GET /event-types shows what it may publish.",
        ) from None
    except lintas_client.AuthenticationRefused:
        log.critical("%s: the bus refuses the credentials that the gateway has", system, extra={"system": system})
        raise unavailable(f"The bus does not accept the credentials that the gateway has of {system}.") from None
    except lintas_client.ClientError:
        raise unavailable("Kafka does not answer.") from None
