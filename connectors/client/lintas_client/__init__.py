"""Publish to and read from the Lintas event bus."""

from .bus import Delivery, EventPublisher, EventSubscriber, Receipt
from .connection import Connection
from .exceptions import (
    AuthenticationRefused,
    BadConnection,
    BusUnreachable,
    ClientError,
    MalformedEvent,
    NotAcknowledged,
    NotEntitled,
    UndecodableDelivery,
    UnknownEventType,
    UnknownInbox,
)
from .publisher import Publisher
from .subscriber import Subscriber
from .wire.errors import Problem

__all__ = [
    "AuthenticationRefused",
    "BadConnection",
    "BusUnreachable",
    "ClientError",
    "Connection",
    "Delivery",
    "EventPublisher",
    "EventSubscriber",
    "MalformedEvent",
    "NotAcknowledged",
    "NotEntitled",
    "Problem",
    "Publisher",
    "Receipt",
    "Subscriber",
    "UndecodableDelivery",
    "UnknownEventType",
    "UnknownInbox",
]
