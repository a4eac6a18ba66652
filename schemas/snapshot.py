"""The catalogue in force as a lane uses it: what was applied, with the schema ids that the registry gave."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from lintas import names
from schemas.model import Agency, Agreement, Connector, EventType, System, as_json, channel


def canonical(value: Any) -> bytes:
    """The one JSON form that digests are computed over: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """The SHA-256 of a JSON value's canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """An Avro schema and the id under which the registry knows it."""

    id: int
    schema: Any  # parsed JSON

    def as_json(self) -> dict[str, Any]:
        """As it is published."""
        return {"id": self.id, "schema": self.schema}


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedEventType:
    """An event type with every schema that its events may have been written with, oldest first."""

    contract: EventType
    topic: str
    schemas: tuple[RegisteredSchema, ...]

    @property
    def current(self) -> RegisteredSchema:
        """The newest schema: what events are read as."""
        return self.schemas[-1]

    def as_json(self) -> dict[str, Any]:
        """As it is published."""
        return {
            "contract": as_json(self.contract),
            "topic": self.topic,
            "schemas": [schema.as_json() for schema in self.schemas],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedAgreement:
    """An agreement with the schema of what it releases."""

    contract: Agreement
    released: RegisteredSchema

    def as_json(self) -> dict[str, Any]:
        """As it is published."""
        return {"contract": as_json(self.contract), "released": self.released.as_json()}


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """One catalogue, whole: what a digest stands for.

    ``objects()`` and ``from_objects()`` are each other's inverse; ``digest`` is the digest of the manifest, which names
    every object by its own digest.
    """

    agencies: Mapping[str, Agency]
    event_types: Mapping[str, PublishedEventType]  # by event type name
    agreements: Mapping[str, PublishedAgreement]  # by agreement id
    audit_schema: RegisteredSchema
    connectors: Mapping[str, Connector] = dataclasses.field(default_factory=dict)

    def objects(self) -> dict[str, Any]:
        """Every object by its name in the manifest."""
        return {
            **{f"agency/{name}": as_json(agency) for name, agency in self.agencies.items()},
            **{f"event-type/{name}": event_type.as_json() for name, event_type in self.event_types.items()},
            **{f"agreement/{name}": agreement.as_json() for name, agreement in self.agreements.items()},
            **{f"connector/{name}": as_json(connector) for name, connector in self.connectors.items()},
            "bus/audit-schema": self.audit_schema.as_json(),
        }

    @property
    def manifest(self) -> dict[str, str]:
        """The digest of every object by its name."""
        return {name: digest_of(value) for name, value in sorted(self.objects().items())}

    @property
    def digest(self) -> str:
        """The catalogue's digest: that of its manifest."""
        return digest_of(self.manifest)

    @classmethod
    def from_objects(cls, objects: Mapping[str, Any]) -> Self:
        """Build a snapshot of published objects, by their names in the manifest."""
        agencies, event_types, agreements, connectors = {}, {}, {}, {}
        for name, value in objects.items():
            kind, _, own = name.partition("/")
            if kind == "agency":
                agencies[own] = Agency.model_validate(value)
            elif kind == "event-type":
                event_types[own] = PublishedEventType(
                    EventType.model_validate(value["contract"]),
                    value["topic"],
                    tuple(RegisteredSchema(**schema) for schema in value["schemas"]),
                )
            elif kind == "agreement":
                agreements[own] = PublishedAgreement(
                    Agreement.model_validate(value["contract"]), RegisteredSchema(**value["released"])
                )
            elif kind == "connector":
                connectors[own] = Connector.model_validate(value)
        return cls(agencies, event_types, agreements, RegisteredSchema(**objects["bus/audit-schema"]), connectors)

    def system(self, system_id: str) -> System:
        """A system by its id ``agency.system``."""
        agency, _, name = system_id.partition(".")
        return self.agencies[agency].systems[name]

    def channel_of(self, agreement: Agreement) -> str:
        """The channel of an agreement's deliveries; the provider's kind is that of the type's first publisher."""
        provider = self.system(self.event_types[agreement.event_type].contract.publishers[0])
        return channel(provider.kind, self.system(agreement.consumer).kind)

    def agreements_on(self, event_type: str) -> list[PublishedAgreement]:
        """Every agreement on an event type, in the order of their ids."""
        return [
            agreement for _, agreement in sorted(self.agreements.items()) if agreement.contract.event_type == event_type
        ]

    def consumers(self) -> set[str]:
        """Every system that an agreement names as consumer."""
        return {agreement.contract.consumer for agreement in self.agreements.values()}

    def tables(self) -> dict[str, list[str]]:
        """The changelog topics of each system that keeps tables."""
        return {
            f"{agency}.{name}": [names.table_topic(f"{agency}.{name}", table) for table in system.tables]
            for agency, contract in self.agencies.items()
            for name, system in contract.systems.items()
            if system.tables
        }

    def connector_systems(self) -> set[str]:
        """Every system that has connectors or may have some."""
        return {connector.system for connector in self.connectors.values()} | {
            f"{agency}.{name}"
            for agency, contract in self.agencies.items()
            for name, system in contract.systems.items()
            if system.connectors
        }

    def topics(self) -> dict[str, int]:
        """Partitions of every topic that the catalogue asks for."""
        publishers = {event_type.contract.owner for event_type in self.event_types.values()}
        return {
            **{event_type.topic: event_type.contract.partitions for event_type in self.event_types.values()},
            **{names.inbox_topic(system): self.system(system).inbox_partitions for system in self.consumers()},
            **{names.dead_topic(system): 1 for system in self.consumers()},
            **{names.quarantine_topic(agency): 1 for agency in publishers},
            **{
                topic: self.system(system).inbox_partitions
                for system, topics in self.tables().items()
                for topic in topics
            },
            **{names.connectors_topic(system): 1 for system in self.connector_systems()},
        }
