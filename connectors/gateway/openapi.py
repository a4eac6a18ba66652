"""What the gateway's OpenAPI says beyond what the routes say themselves: bodies, headers, problems, who may ask."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.gateway.incoming import AVRO, BATCH, STRUCTURED
from connectors.gateway.refusal import KINDS, MEDIA_TYPE

_TEXT: Final = {"type": "string"}
_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
_CLOUD_EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "A CloudEvent 1.0 in the JSON event format",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "minLength": 1, "description": "unique within the source; a repeat is dropped"},
        "source": {**_TEXT, "minLength": 1, "description": "urn:lintas:<system>, or that and more after a slash"},
        "type": {**_TEXT, "minLength": 1, "description": "an event type of GET /event-types"},
        "subject": {**_TEXT, "description": "repeats the payload's subject field; left out, it is taken from there"},
        "time": {**_TEXT, "format": "date-time", "description": "when it happened; left out: now"},
        "datacontenttype": _TEXT,
        "dataschema": {**_TEXT, "description": "ends in /schemas/ids/<id>: the schema that the data are written as"},
        "partitionkey": {**_TEXT, "description": "events of one key stay in order; left out: the subject, else the id"},
        "data": {"description": "the payload in natural JSON"},
        "data_base64": {**_TEXT, "description": "the payload in Avro"},
    },
    "additionalProperties": True,
}
_RESULT: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["index", "published"],
    "properties": {
        "index": {"type": "integer", "description": "of the event in the batch"},
        "published": {"enum": ["yes", "no", "unknown"]},
        "status": {"type": "integer"},
        "id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "title": _TEXT,
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
    },
}
_SCHEMAS: Final[Mapping[str, Any]] = {
    "CloudEvent": _CLOUD_EVENT,
    "Result": _RESULT,
    "Error": {
        "type": "object",
        "required": ["path", "rule", "message"],
        "properties": {
            "path": {**_TEXT, "description": "an attribute, or data and what is below it"},
            "rule": _TEXT,
            "message": _TEXT,
        },
    },
    "Problem": {
        "type": "object",
        "title": "Problem details (RFC 9457)",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {**_TEXT, "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": {**_TEXT, "description": "what happened"},
            "cause": {**_TEXT, "description": "why, most likely"},
            "remedy": {**_TEXT, "description": "what to do"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
            "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
        },
    },
}
_EVENT: Final = {"schema": {"$ref": "#/components/schemas/CloudEvent"}}
EVENTS_BODY: Final[Mapping[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: _EVENT,
            BATCH: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}}},
            "application/json": {"schema": {"description": "binary mode: the payload, its attributes in ce- headers"}},
            AVRO: {"schema": {**_TEXT, "format": "binary"}},
        },
    },
    "parameters": [
        {"name": f"ce-{name}", "in": "header", "required": False, "schema": _TEXT, "description": "binary mode"}
        for name in ("specversion", "id", "source", "type", "subject", "time", "dataschema", "partitionkey")
    ],
}
CURSOR_BODY: Final[Mapping[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["cursor"], "properties": {"cursor": _TEXT}},
            }
        },
    }
}
PUBLISHED: Final[Mapping[str, Any]] = {
    "description": "Every event is on every broker that must hold it",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
ALWAYS: Final = (400, 401, 403, 408, 429, 500, 503)  # what any operation may answer


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an operation may answer, besides those that any may."""
    content = {MEDIA_TYPE: {"schema": _PROBLEM_REF}}
    return {status: {"description": _titles(status), "content": content} for status in sorted({*ALWAYS, *statuses})}


def completed(document: dict[str, Any], token_url: str | None) -> dict[str, Any]:
    """The document with the shapes that routes refer to, and how to show who asks."""
    components = document.setdefault("components", {})
    components["schemas"] = dict(_SCHEMAS)
    flow = {"clientCredentials": {"tokenUrl": token_url, "scopes": {}}} if token_url else None
    scheme: dict[str, Any] = {"type": "oauth2", "flows": flow} if flow else {"type": "http", "scheme": "bearer"}
    components["securitySchemes"] = {"token": scheme}
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None) if _is_default(operation) else None
    return document


def _is_default(operation: Mapping[str, Any]) -> bool:
    """Whether the framework promised its own shape of validation errors; here they are problem details (400)."""
    return "HTTPValidationError" in str(operation["responses"].get("422"))


def _titles(status: int) -> str:
    return _joined(title for of, title in KINDS.values() if of == status)


def _joined(titles: Iterable[str]) -> str:
    return " / ".join(titles)
