"""aiokafka's clients started, and its errors told in the bus's words."""

from typing import Any, Protocol

from aiokafka import errors
from aiokafka.conn import collect_hosts, create_conn

from .connection import Connection
from .exceptions import AuthenticationRefused, BusUnreachable, ClientError

REQUEST_TIMEOUT_MS = 15_000
NOT_ALLOWED = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,  # a principal that may write to no topic at all may not have a producer
)


class Startable(Protocol):
    """A producer or consumer of aiokafka."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""


async def start(client: Startable, connection: Connection) -> None:
    """Connect an aiokafka client; where that fails, it is stopped.

    Raises:
        BusUnreachable: no broker answers.
        AuthenticationRefused: the broker does not accept name and password.
        KafkaError: the broker refuses what the client is for, as aiokafka says it.
    """
    try:
        await client.start()
    except errors.KafkaConnectionError:
        await client.stop()
        raise await _why_not(connection) from None
    except BaseException:
        await client.stop()
        raise


async def _why_not(connection: Connection) -> ClientError:
    """Why no broker lets us in; aiokafka only logs it."""
    reason = "no broker answers"
    for host, port, _ in collect_hosts(connection.kafka_options()["bootstrap_servers"]):
        try:
            (await create_conn(host, port, request_timeout_ms=REQUEST_TIMEOUT_MS, **_handshake(connection))).close()
        except (errors.AuthenticationFailedError, errors.SaslAuthenticationFailed) as error:
            return AuthenticationRefused(principal=connection.principal, reason=plain(error))
        except (TimeoutError, OSError, errors.KafkaError) as error:
            reason = plain(error)
    return BusUnreachable(part="Kafka", address=connection.bootstrap_servers, reason=reason)


def _handshake(connection: Connection) -> dict[str, Any]:
    return {name: value for name, value in connection.kafka_options().items() if name != "bootstrap_servers"}


def plain(error: BaseException) -> str:
    """An error's own words on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
