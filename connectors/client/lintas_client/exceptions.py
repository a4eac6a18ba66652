"""Every error that a client of the bus can meet.

ClientError
├── BadConnection          the connection's settings cannot be used
├── BusUnreachable         Kafka or the schema registry does not answer
├── AuthenticationRefused  the bus does not know this system with this password
├── NotEntitled            the bus refuses the topic to this system
├── UnknownEventType       no event type of that name is registered
├── UnknownInbox           the system has no inbox
├── MalformedEvent         the event does not match its schema; not sent
├── NotAcknowledged        the broker did not confirm the event; it may have arrived
└── UndecodableDelivery    a record of the inbox cannot be read

The exception's docstring is its message: what happened, the likely cause, the remedy. Placeholders in braces are
filled from the keyword arguments, which are also attributes of the exception. No message holds a value of an event.
"""

import inspect
from collections.abc import Iterable
from typing import Any

from .wire.errors import Problem


class ClientError(Exception):
    """Something went wrong between this program and the bus."""

    def __init__(self, **details: Any) -> None:
        """Keep ``details`` as attributes and fill the docstring's placeholders with them."""
        self.details = details
        for name, value in details.items():
            setattr(self, name, value)
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(**details))


class BadConnection(ClientError):
    """The connection cannot be made from {source}: {reason}.

    Remedy: give the credentials file that the operator of the bus delivered (`Connection.from_properties`), or set
    LINTAS_BOOTSTRAP_SERVERS, LINTAS_REGISTRY_URL, LINTAS_SYSTEM and LINTAS_PASSWORD.
    """


class BusUnreachable(ClientError):
    """{part} does not answer at {address}: {reason}.

    Likely cause: the address is wrong, the bus is down, or a firewall stands between.
    Remedy: check the address in the connection; ask the operator of the bus whether it runs.
    """


class AuthenticationRefused(ClientError):
    """The bus does not accept the credentials of {principal}: {reason}.

    Likely cause: the password was changed, or the credentials are of another bus.
    Remedy: use the newest credentials file of {principal}; the operator of the bus can make a new one.
    """


class NotEntitled(ClientError):
    """The bus refuses {principal} to {action} {topic}.

    Likely cause: the catalogue in force does not name {principal} as one who may.
    Remedy: the event type's owner names it among the publishers, or an agreement as the consumer; then the catalogue is
    applied anew. A group's name is the system's, alone or followed by a dot and more.
    """


class UnknownEventType(ClientError):
    """There is no event type {event_type} on this bus.

    {suggestion}
    Remedy: check the name in the catalogue; a new event type is there once its catalogue has been applied.
    """


class UnknownInbox(ClientError):
    """There is no inbox {topic}, or {principal} may not know of it.

    Likely cause: no agreement names {system} as a consumer, or the catalogue was not applied since.
    Remedy: `lintas agreement list` shows the agreements in force; apply the catalogue that holds yours.
    """


class MalformedEvent(ClientError):
    """The event was not published; {count} thing(s) are wrong with it.

    {report}
    Remedy: mend them and publish it again; `data` is the payload, other names are attributes of the event.
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        """``problems`` is everything that is wrong: payload paths begin with ``data``."""
        found = tuple(problems)
        super().__init__(problems=found, count=len(found), report="\n".join(f"- {problem}" for problem in found))


class NotAcknowledged(ClientError):
    """The broker did not confirm the event {id} on {topic}: {reason}.

    It may have arrived or not. Remedy: publish it again with the same id; the bus drops the repeat if there is one.
    """


class UndecodableDelivery(ClientError):
    """The record at {topic} [{partition}] offset {offset} cannot be read: {reason}.

    It was not skipped: the subscriber stops here until it can be read.
    Likely cause: somebody wrote to the inbox who is not the bus, or the registry lost a schema.
    Remedy: show this to the operator of the bus; go on behind it with `Subscriber(..., start=...)`.
    """
