"""How a program of the bus speaks to it as one of its systems: through the client that agencies use."""

from lintas_client import Connection

from lintas import credentials
from lintas.settings import Settings


def connection_of(settings: Settings, system: str) -> Connection:
    """The connection of a system to the bus that the settings name.

    Raises:
        MissingCredentials: there is no credentials file for the system.
        BadSettings: no bus runs here and the environment names none.
        BadConnection: the principal is not a system.
    """
    own = credentials.load(settings, system)
    return Connection(
        bootstrap_servers=settings.brokers,
        registry_url=settings.registry,
        system=own.principal,
        password=own.password,
        security_protocol=settings.security_protocol,
        ca_file=settings.ca_file,
    )
