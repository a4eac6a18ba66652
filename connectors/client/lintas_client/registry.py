"""What a client asks the schema registry: the schema of an event type, the schema of an id."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from .connection import Connection
from .exceptions import BusUnreachable, UnknownEventType
from .tracing import active
from .wire.codec import Codec
from .wire.errors import InvalidSchema
from .wire.trace_context import TRACEPARENT

_TIMEOUT_SECONDS = 15
_NOT_FOUND = 404
_ALIKE = 0.4  # how alike a name must be to be suggested


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type as its registered schema describes it.

    Attributes:
        name: ``id.go.dukcapil.birth.registered.v1``.
        topic: where its events are published.
        subject: dotted path of the payload's field that an event's subject repeats, if there is one.
        schema_id: the registry's id of the newest schema.
        codec: the newest schema, compiled.
    """

    name: str
    topic: str
    subject: str | None
    schema_id: int
    codec: Codec

    @classmethod
    def of_schema(cls, schema_id: int, schema: Mapping[str, Any]) -> Self:
        """Read the attributes that the bus wrote into the record.

        Raises:
            KeyError: it is not the schema of an event type.
            InvalidSchema: it is not an Avro schema.
        """
        return cls(
            schema["lintas.event_type"],
            schema["lintas.topic"],
            schema.get("lintas.subject"),
            schema_id,
            Codec(schema),
        )


class Registry:
    """The schema registry of the bus; what it said once is remembered.

    Confluent's API: a schema of an id never changes, so what was seen once is kept; so are event types.
    """

    def __init__(self, connection: Connection) -> None:
        """``connection`` names the registry and, for https, the certificates to trust."""
        self._url = connection.registry_url
        tls = connection.ssl_context() if self._url.startswith("https") else False
        # The registry stands beside Kafka, which no web proxy leads to.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, verify=tls, trust_env=False)
        self._codecs: dict[int, Codec] = {}
        self._event_types: dict[str, EventType] = {}

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def event_type(self, name: str) -> EventType:
        """The newest registered schema of an event type.

        Raises:
            UnknownEventType: none is registered.
            BusUnreachable: the registry does not answer or answers nonsense.
        """
        if name not in self._event_types:
            self._event_types[name] = await self._find(name)
        return self._event_types[name]

    async def codec(self, schema_id: int) -> Codec:
        """The schema of an id.

        Raises:
            LookupError: the registry does not know the id, or it is not a usable Avro schema.
            BusUnreachable: the registry does not answer.
        """
        if schema_id not in self._codecs:
            answer = await self._get(f"/schemas/ids/{schema_id}")
            if answer is None:
                raise LookupError(f"the registry does not know schema id {schema_id}")
            try:
                self._codecs[schema_id] = Codec(json.loads(answer["schema"]))
            except (InvalidSchema, ValueError) as error:
                raise LookupError(f"schema id {schema_id} cannot be used: {error}") from None
        return self._codecs[schema_id]

    async def _find(self, name: str) -> EventType:
        subjects = await self._get("/subjects") or []
        for subject in candidates(name, subjects):
            latest = await self._get(f"/subjects/{subject}/versions/latest")
            if latest is None:
                continue
            try:
                found = EventType.of_schema(latest["id"], json.loads(latest["schema"]))
            except (KeyError, InvalidSchema):
                continue
            if found.name == name:
                return found
        raise UnknownEventType(event_type=name, suggestion=await self._suggestion(name, subjects))

    async def _suggestion(self, name: str, subjects: Iterable[str]) -> str:
        by_rest = {rest: subject for subject in subjects if (rest := _rest(subject))}
        if not by_rest:
            return "Likely cause: no catalogue has been applied yet."
        close = difflib.get_close_matches(name, by_rest, n=3, cutoff=_ALIKE) or sorted(by_rest)[:10]
        names = []
        for rest in close:
            latest = await self._get(f"/subjects/{by_rest[rest]}/versions/latest") or {"schema": "{}"}
            names.append(json.loads(latest["schema"]).get("lintas.event_type", rest))
        return f"Registered are, among others: {', '.join(names)}."

    async def _get(self, path: str) -> Any:
        try:
            traceparent = active()
            headers = {} if traceparent is None else {TRACEPARENT: traceparent}
            answer = await self._http.get(self._url + path, headers=headers)
            if answer.status_code == _NOT_FOUND:
                return None
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPStatusError as error:
            reason = f"it answers {error.response.status_code}"
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        except ValueError:
            reason = "it does not answer in JSON"
        raise BusUnreachable(part="The schema registry", address=self._url, reason=reason)


def candidates(event_type: str, subjects: Iterable[str]) -> list[str]:
    """The subjects that an event type may be registered under.

    A topic is ``events.<agency>.<rest>``, where the event type is the agency's domain followed by
    ``<rest>``; the domain is not known here.
    """
    return [subject for subject in subjects if (rest := _rest(subject)) and event_type.endswith(f".{rest}")]


def _rest(subject: str) -> str:
    if not (subject.startswith("events.") and subject.endswith("-value")):
        return ""
    return subject.removeprefix("events.").removesuffix("-value").partition(".")[2]
