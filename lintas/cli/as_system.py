"""Speaking to the bus as one of its systems, through the client that agencies use."""

import contextlib
import logging
from collections.abc import Iterator

import lintas_client

from lintas import connection
from lintas.errors import BusUnavailable, RequestRefused, UnknownName
from lintas.settings import Settings


def connection_of(settings: Settings, system: str) -> lintas_client.Connection:
    """The connection of a system to the bus that the settings name.

    Raises:
        MissingCredentials: there is no credentials file for the system.
        BadSettings: no bus runs here and the environment names none.
        RequestRefused: the principal is not a system.
    """
    with told_as_bus_errors():
        return connection.connection_of(settings, system)


@contextlib.contextmanager
def told_as_bus_errors() -> Iterator[None]:
    """Errors of the client become errors of the command line; what aiokafka logs beside them is left out."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        yield
    except lintas_client.UnknownEventType as error:
        raise UnknownName(
            kind="event type", name=error.details["event_type"], suggestion=error.details["suggestion"]
        ) from None
    except lintas_client.BusUnreachable as error:
        raise BusUnavailable(**error.details) from None
    except lintas_client.ClientError as error:
        raise RequestRefused(message=str(error)) from None
