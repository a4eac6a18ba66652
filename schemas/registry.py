"""The schema registry, over its Confluent-compatible API (Apicurio, Confluent, Karapace, Redpanda)."""

import json
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from lintas import names
from lintas.errors import BusUnavailable, RegistryError
from lintas.settings import Settings
from schemas.model import EventType
from schemas.snapshot import RegisteredSchema

TIMEOUT_SECONDS: Final = 15.0
MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
BACKWARD_TRANSITIVE: Final = "BACKWARD_TRANSITIVE"


class Registry:
    """A connection to the registry; use it as a context manager."""

    def __init__(self, base_url: str, timeout: float = TIMEOUT_SECONDS, ca_file: Path | None = None) -> None:
        """Get ready to ask; nothing is sent yet.

        Args:
            base_url: of the Confluent-compatible API.
            timeout: of each request, in seconds.
            ca_file: authority to trust where the address is https; the machine's own ones if none is given.
        """
        self._address = base_url.rstrip("/")
        self._schemas: dict[int, Any] = {}
        self._http = httpx.Client(
            base_url=self._address,
            timeout=timeout,
            headers={"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE},
            transport=httpx.HTTPTransport(
                retries=1, verify=ssl.create_default_context(cafile=ca_file) if base_url.startswith("https") else False
            ),
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The registry that the settings name."""
        return cls(settings.registry, ca_file=settings.ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def register(self, subject: str, schema: Any) -> int:
        """Register a schema (parsed JSON) under a subject; the same content keeps its id.

        Raises:
            RegistryError: the registry refuses it.
            BusUnavailable: the registry does not answer.
        """
        return int(self._ask("POST", _path(subject) + "/versions", {"schema": json.dumps(schema)})["id"])

    def lookup(self, subject: str, schema: Any) -> int | None:
        """The id under which a subject holds a schema, or nothing; changes nothing.

        Raises:
            BusUnavailable: the registry does not answer.
        """
        found = self._ask("POST", _path(subject), {"schema": json.dumps(schema)}, missing={})
        return int(found["id"]) if found else None

    def versions(self, subject: str) -> list[RegisteredSchema]:
        """Every schema of a subject, oldest first; none if the subject is unknown.

        Raises:
            BusUnavailable: the registry does not answer.
        """
        numbers = sorted(self._ask("GET", _path(subject) + "/versions", missing=[]))
        found = [self._ask("GET", f"{_path(subject)}/versions/{number}") for number in numbers]
        return [RegisteredSchema(version["id"], json.loads(version["schema"])) for version in found]

    def schema(self, schema_id: int) -> Any:
        """The schema that an id stands for, as parsed JSON.

        Raises:
            RegistryError: the registry does not know the id.
            BusUnavailable: the registry does not answer.
        """
        if schema_id not in self._schemas:
            self._schemas[schema_id] = json.loads(self._ask("GET", f"/schemas/ids/{schema_id}")["schema"])
        return self._schemas[schema_id]

    def subjects(self) -> list[str]:
        """Every subject of the registry.

        Raises:
            BusUnavailable: the registry does not answer.
        """
        return sorted(self._ask("GET", "/subjects"))

    def set_compatibility(self, subject: str, level: str) -> None:
        """Have the registry itself hold a subject's schemas to a compatibility level.

        Raises:
            RegistryError: the registry refuses.
            BusUnavailable: the registry does not answer.
        """
        path = f"/config/{quote(subject, safe='')}"
        found = self._ask("GET", path, missing={})
        if found.get("compatibilityLevel") != level:
            self._ask("PUT", path, {"compatibility": level})

    def delete_subject(self, subject: str) -> None:
        """Delete a subject softly: its ids still resolve, so what was written with them stays readable.

        Raises:
            BusUnavailable: the registry does not answer.
        """
        self._ask("DELETE", _path(subject), missing=[])

    def _ask(self, method: str, path: str, body: Any = None, *, missing: Any = None) -> Any:
        """Send a request; ``missing`` is the answer where the registry says that there is no such thing."""
        try:
            response = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise BusUnavailable(
                part="the schema registry", address=self._address, reason=str(error) or type(error).__name__
            ) from error
        if response.status_code == HTTPStatus.NOT_FOUND and missing is not None:
            return missing
        if response.is_error:
            raise RegistryError(address=self._address, reason=f"{method} {path}: {_refusal(response)}")
        return response.json()


def registered_schemas(
    settings: Settings, event_types: Mapping[str, EventType], topics: Mapping[str, str]
) -> Mapping[str, Sequence[Any]]:
    """The schemas that the registry already holds for each event type, oldest first, for validation.

    ``topics`` gives the topic of each event type.

    Raises:
        BusUnavailable: the registry does not answer.
    """
    with Registry.of(settings) as registry:
        known = set(registry.subjects())
        subjects = {name: names.subject_of_topic(topics[name]) for name in event_types if name in topics}
        return {
            name: [version.schema for version in registry.versions(subject)] if subject in known else []
            for name, subject in subjects.items()
        }


def _path(subject: str) -> str:
    return f"/subjects/{quote(subject, safe='')}"


def _refusal(response: httpx.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.reason_phrase
    return f"{message} (HTTP {response.status_code})"
