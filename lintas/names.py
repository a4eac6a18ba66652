"""Every name on the wire: topics, groups, transactional ids, headers, principals.

A name that two programs must agree on is made here and nowhere else.
"""

import re
import zlib

EVENTS = "events."
INBOX = "inbox."
DEAD = "dead."
QUARANTINE = "quarantine."
TABLES = "tables."
CONNECTORS = "connectors."

AUDIT_DECISIONS = "audit.decisions"
AUDIT_SALTS = "audit.salts"
CATALOGUE = "lintas.catalogue"
LANES_PLANS = "lintas.lanes.plans"  # kept for ever: how many lanes each generation has, and that it is open
LANES_STATUS = "lintas.lanes.status"  # compacted: what each lane runs, which agreements are set aside or resumed
LANES_WAITING = "lintas.lanes.waiting"  # which events wait for agreements that are set aside
REDRIVES = "lintas.redrives"  # append-only: which dead letters are to be given again, or are discarded
REPLAYS = "lintas.replays"  # append-only: which events of the past are to be given to one consumer once more
ACTS = "lintas.acts"  # append-only: what people did on the bus, begun before it and ended after it

LANES_OFFSETS_GROUP = "lintas.lanes.offsets"  # no members: positions in events.*, committed by the lanes' transactions

ADMIN = "admin"
WORKER = "lintas.worker"
RESERVED_AGENCY = "lintas"
BUS_DOMAIN = "lintas.bus"  # of the bus's own event types
GATEWAY = "lintas.gateway"  # reads the catalogue; towards systems' topics it is the system that it speaks for
CANARY = "lintas.canary"  # sends itself events, and is the only one to receive them; its agreement is called so too
CANARY_EVENT_TYPE = "lintas.bus.canary.sent.v1"

HEADER_SALT = "lintas-salt"  # the recipient's own salt: opens the commitment to what it received, and nothing else
HEADER_REPLAY = "ce_replay"  # the number of the replay that an event is given for
ERROR_PREFIX = "__lintas.errors."  # after Kafka Connect's __connect.errors.*

AGENCY_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
EVENT_TYPE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*(\.[a-z][a-z0-9]*(-[a-z0-9]+)*)+\.v[1-9][0-9]*")


def events_topic(owner: str, domain: str, event_type: str) -> str:
    """The topic of an event type: ``events.<agency>.<event>.vN``.

    ``domain`` is the owner's reverse-DNS prefix, which ``event_type`` must start with.
    """
    prefix = domain + "."
    if not event_type.startswith(prefix):
        raise ValueError(f"{event_type} does not start with {prefix}")
    return f"{EVENTS}{owner}.{event_type.removeprefix(prefix)}"


def inbox_topic(system: str) -> str:
    """The topic that one consumer system (``agency.system``) reads."""
    return INBOX + system


def dead_topic(system: str) -> str:
    """The topic of the events that one consumer system could not be given."""
    return DEAD + system


def quarantine_topic(agency: str) -> str:
    """The topic of an agency's own events that no one can be given."""
    return QUARANTINE + agency


def table_topic(system: str, table: str) -> str:
    """The changelog of a table that one system keeps."""
    return f"{TABLES}{system}.{table}"


def connectors_topic(system: str) -> str:
    """The topic of one system's connectors: what they are to do, what they do, how far they are."""
    return CONNECTORS + system


def connectors_group(system: str) -> str:
    """The group whose one active member runs a system's connectors."""
    return f"{system}.connectors"


def connector_id(system: str, connector: str) -> str:
    """The transactional id of a connector, and the group that a sink's positions are committed to."""
    return f"{system}.connector.{connector}"


def control_topic(generation: int, lanes: int) -> str:
    """The topic without records whose partitions are the lanes of one generation.

    It carries their number, so that two who ask for different numbers at once make two topics.
    """
    return f"lintas.lanes.control.g{generation}.n{lanes}"


def is_control_topic(topic: str) -> bool:
    """Whether a topic's partitions are lanes, of whatever generation."""
    return topic.startswith("lintas.lanes.control.")


def lanes_group(generation: int) -> str:
    """The group whose members are the workers: it hands out the lanes of one generation."""
    return f"lintas.lanes.g{generation}"


def lane_of(topic: str, partition: int, lanes: int) -> int:
    """The lane that an input partition belongs to."""
    return (zlib.crc32(topic.encode()) + partition) % lanes


def transactional_id(generation: int, lane: int) -> str:
    """The static transactional id of a lane: whoever initialises it fences every earlier owner."""
    return f"lintas.lane.g{generation}.{lane}"


def source_of(system: str) -> str:
    """The CloudEvents ``source`` of a system; an event's source equals it or continues it after a ``/``."""
    return f"urn:lintas:{system}"


def subject_of_topic(topic: str) -> str:
    """The registry subject of an event topic's values (Confluent's TopicNameStrategy)."""
    return f"{topic}-value"


def released_subject(consumer: str, agreement: str) -> str:
    """The registry subject of what one agreement releases to one consumer."""
    return f"{INBOX}{consumer}-{agreement}"


def is_bus_name(name: str) -> bool:
    """Whether an event type, a domain, a system or an agreement can only be the bus's own."""
    return name.startswith(f"{RESERVED_AGENCY}.")
