"""What the gateway answers when it does not do what was asked: problem details (RFC 9457), no values of events."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lintas_client import Problem
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
PREFIX: Final = "urn:lintas:problem:"
# kind of problem -> its status and its title; the kind is the end of the answer's `type`
KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "malformed-request": (400, "The request cannot be read"),
    "malformed-event": (400, "The CloudEvent cannot be read"),
    "malformed-cursor": (400, "The cursor is not one of this inbox"),
    "unauthenticated": (401, "Who asks is not known"),
    "not-entitled": (403, "The system may not do this"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The method is not for this address"),
    "not-acceptable": (406, "The answer cannot be given in a form that was asked for"),
    "request-timeout": (408, "The request did not arrive in time"),
    "inbox-in-use": (409, "A Kafka client reads this inbox in the same group"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The form of the request is not understood"),
    "invalid-event": (422, "The event does not fit its event type"),
    "batch-refused": (422, "The batch was refused"),
    "too-many-requests": (429, "The system asks for too much at once"),
    "fault": (500, "The gateway failed"),
    "undecodable-delivery": (503, "A record of the inbox cannot be read"),
    "unavailable": (503, "The bus does not answer"),
    "not-acknowledged": (503, "The bus did not confirm every event"),
}


class Refused(Exception):
    """A request is not done; becomes an answer with problem details.

    Attributes:
        kind: one of ``KINDS``.
        detail: what happened.
        cause: the likely cause.
        remedy: what to do.
        headers: of the answer.
        members: further members of the problem details.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        cause: str = "",
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.kind, self.detail, self.cause, self.remedy = kind, detail, cause, remedy
        self.headers, self.members = dict(headers or {}), members
        super().__init__(detail)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def body(self) -> dict[str, Any]:
        """The problem details."""
        status, title = KINDS[self.kind]
        found = {"type": PREFIX + self.kind, "title": title, "status": status, "detail": self.detail}
        found |= {name: text for name, text in (("cause", self.cause), ("remedy", self.remedy)) if text}
        return found | self.members

    def response(self) -> Response:
        """The answer."""
        return Response(as_json(self.body()), self.status, self.headers, MEDIA_TYPE)


def as_json(value: Any) -> bytes:
    """A value as JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def listed(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Problems as members of problem details: where, which rule, why."""
    return [{"path": one.path, "rule": one.rule, "message": one.message} for one in problems]


def malformed(detail: str, problems: Iterable[Problem] = ()) -> Refused:
    """A request whose form is broken."""
    return Refused(
        "malformed-request",
        detail,
        cause="The program that sent it does not write HTTP, JSON or CloudEvents as their specifications say.",
        remedy="Mend what `errors` names and send it again; nothing was published.",
        errors=listed(problems),
    )


def unsupported(detail: str) -> Refused:
    """A request in a form that is not understood."""
    return Refused(
        "unsupported-media-type",
        detail,
        cause="The Content-Type or Content-Encoding is missing, or is another one.",
        remedy="Send application/cloudevents+json, application/cloudevents-batch+json, or the data itself as "
        "application/json or application/avro with ce- headers; in UTF-8, not compressed.",
        headers={"accept-encoding": "identity"},  # RFC 9110, section 12.5.3
    )


def unavailable(detail: str, *, seconds: int = 1) -> Refused:
    """The bus is away; who asked may try again."""
    return Refused(
        "unavailable",
        detail,
        cause="A part of the bus is being restarted, or cannot be reached from the gateway.",
        remedy="Send the same again later, with the same ids: repeats are dropped.",
        headers={"retry-after": str(seconds)},
    )


def phrase(status: int) -> str:
    """A kind for a status that the framework gave by itself."""
    return next((kind for kind, (of, _) in KINDS.items() if of == status), "malformed-request")
