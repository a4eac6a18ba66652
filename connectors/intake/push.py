"""An HTTP address that takes whole messages and answers once their events are on the bus."""

import asyncio
import contextlib
import dataclasses
import hmac
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn
from lintas_client import ClientError, Problem
from pydantic import Field, ValidationInfo, field_validator
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.intake.message import Intake, MalformedMessage, as_json
from connectors.runtime.contract import Outgoing, Portion, Progress, Refusal, Source
from connectors.runtime.plugin import Config
from lintas.errors import ConnectorFailed

_POLL_SECONDS: Final = 1.0
_MOST_MESSAGES: Final = 500  # in one transaction
_BODY_SECONDS: Final = 30
_CONNECTION_SECONDS: Final = 30.0
_SHORTEST_TOKEN: Final = 16
_AT_ONCE: Final = 64  # messages, of senders that are known
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class PushSettings(Config):
    """Where and from whom messages are taken."""

    host: str = Field("127.0.0.1", description="the address to listen at")
    port: int = Field(ge=0, le=65535, description="the port to listen at")
    token_file: Path = Field(
        description="a file of bearer tokens, one a line, of at least 16 characters; senders show one of them"
    )
    certificate_file: Path | None = Field(
        None, validate_default=True, description="TLS: the certificate and those that it rests on, PEM"
    )
    key_file: Path | None = Field(None, validate_default=True, description="TLS: its key, PEM")
    largest_bytes: int = Field(4 * 1024 * 1024, ge=1024, le=16 * 1024 * 1024, description="of a message")
    answer_within_seconds: float = Field(30, gt=0, le=300, description="then the sender is told to try again")

    @field_validator("certificate_file")
    @classmethod
    def _may_listen(cls, certificate: Path | None, info: ValidationInfo) -> Path | None:
        if certificate is None and info.data.get("host", "localhost") not in _LOOPBACK:
            raise ValueError("TLS is needed to listen anywhere but on this machine (host 127.0.0.1)")
        return certificate

    @field_validator("key_file")
    @classmethod
    def _has_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "certificate_file" in info.data and (key is None) != (info.data["certificate_file"] is None):
            raise ValueError("certificate_file and key_file are set both or neither")
        return key


@dataclasses.dataclass(slots=True, eq=False)
class _Waiting:
    """A message whose sender waits for an answer."""

    events: Sequence[Outgoing]
    answer: asyncio.Future[Response]


class PushSource(Source):
    """Listens for messages. It keeps nothing: a sender that got no answer sends again, with the same event ids."""

    def __init__(self, settings: PushSettings, path: str, intake: Intake) -> None:
        """``path`` is the resource that senders POST to; ``intake`` reads a message."""
        self._settings = settings
        self._path = path
        self._intake = intake
        self._tokens: list[bytes] = []
        self._arrived: asyncio.Queue[_Waiting] = asyncio.Queue(_MOST_MESSAGES)
        self._taken: list[_Waiting] = []
        self._at_work = 0  # messages that are being received, read or waited for
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = settings.port

    async def start(self, progress: Progress) -> None:  # noqa: ARG002  it has none
        """Listen."""
        await self._intake.ready()
        settings = self._settings
        try:
            self._tokens = [line.strip() for line in settings.token_file.read_bytes().splitlines() if line.strip()]
        except OSError as error:
            raise self._failed(f"the file of tokens cannot be read ({error.strerror})") from None
        if not self._tokens or min(map(len, self._tokens)) < _SHORTEST_TOKEN:
            raise self._failed(f"the file of tokens holds none, or one of fewer than {_SHORTEST_TOKEN} characters")
        try:
            listening = socket.create_server((settings.host, settings.port), family=_family(settings.host))
        except OSError as error:
            raise self._failed(f"it cannot listen at {settings.host}:{settings.port} ({error.strerror})") from None
        try:
            self._server = _Server(
                uvicorn.Config(
                    Starlette(routes=[Route(self._path, self._take, methods=["POST"])]),
                    ssl_certfile=settings.certificate_file,
                    ssl_keyfile=settings.key_file,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    http=_Brief,
                    timeout_graceful_shutdown=5,
                )
            )
            self._server.config.load()
        except OSError as error:  # ssl.SSLError is one
            listening.close()
            raise self._failed(f"certificate and key cannot be used ({error})") from None
        self.port = listening.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listening]))

    async def poll(self) -> Portion | None:
        """The events of the messages that have arrived."""
        if self._serving is None or self._serving.done():
            raise self._failed("it does not listen any more")
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                self._taken = [await self._arrived.get()]
        except TimeoutError:
            return None
        while not self._arrived.empty() and len(self._taken) < _MOST_MESSAGES:
            self._taken.append(self._arrived.get_nowait())
        by_id = {event.id: event for waiting in self._taken for event in waiting.events}
        return Portion(list(by_id.values()))

    async def refused(self, refusals: Sequence[Refusal]) -> bool:  # noqa: ARG002  there are none
        """Never called: what the intake gives is ready."""
        return False

    async def written(self, portion: Portion) -> None:  # noqa: ARG002  the portion under way is the one it handed out
        """Tell the senders."""
        for waiting in self._taken:
            published = [{"id": event.id, "type": event.event_type} for event in waiting.events]
            _give(waiting, JSONResponse({"published": published}))
        self._taken = []

    async def stop(self) -> None:
        """Listen no more; whoever still waits is told to try again."""
        left = list(self._taken)
        while not self._arrived.empty():
            left.append(self._arrived.get_nowait())
        for waiting in left:
            _give(waiting, _later("This connector stops."))
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait([self._serving])
            self._server = self._serving = None

    async def _take(self, request: Request) -> Response:
        if (problem := self._unwelcome(request)) is not None:
            return problem
        if self._at_work == _AT_ONCE:
            return _later("As many messages as it takes at once are being taken.")
        self._at_work += 1
        try:
            return await self._answer(request)
        finally:
            self._at_work -= 1

    async def _answer(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                message = await _body(request, self._settings.largest_bytes)
        except (TimeoutError, ClientDisconnect):
            return _problem(408, "Request Timeout", f"The message was not here within {_BODY_SECONDS} s.")
        if message is None:
            detail = f"A message may have {self._settings.largest_bytes} bytes."
            return _problem(413, "Content Too Large", detail)
        try:
            events = await self._intake.events(message, "HTTP")
        except MalformedMessage as error:
            return _refusal(error.problems)
        except (ClientError, ConnectorFailed) as error:
            self._intake.context.log.error("a message cannot be taken: %s", error)  # noqa: TRY400  it says what is wrong
            return _later("What is needed to take it (the schema registry, the store) does not do its part.")
        if not events:
            return JSONResponse({"published": []})
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._settings.answer_within_seconds):
                await self._arrived.put(waiting)
                return await waiting.answer
        except TimeoutError:
            return _later("The bus has not confirmed the events in time; it may have them.")

    def _unwelcome(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        shown = token.strip().encode("latin-1")
        # Every token is compared, so that the time tells nothing.
        known = [hmac.compare_digest(shown, own) for own in self._tokens]
        if scheme.lower() != "bearer" or not any(known):
            answer = _problem(401, "Unauthorized", "A bearer token that this connector knows is needed.")
            answer.headers["www-authenticate"] = "Bearer"
            return answer
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in self._intake.media_types:
            detail = f"Content-Type must be one of {', '.join(self._intake.media_types)}."
            return _problem(415, "Unsupported Media Type", detail)
        return None

    def _failed(self, reason: str) -> ConnectorFailed:
        remedy = "mend the connector's settings or what they name; it is tried again by itself."
        return ConnectorFailed(connector=self._intake.context.name, reason=reason, remedy=remedy)


class _Server(uvicorn.Server):
    """A server inside another program, which minds signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Brief(H11Protocol):
    """A connection that ends by itself after a while, or after the request under way: idle ones keep nobody out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base has it
        """Begin to count."""
        super().connection_made(transport)
        self.loop.call_later(_CONNECTION_SECONDS, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            self.shutdown()


async def _body(request: Request, largest: int) -> bytes | None:
    """The request's body; None if it is larger."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > largest:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            return None
        parts.append(part)
    return b"".join(parts)


def _give(waiting: _Waiting, answer: Response) -> None:
    if not waiting.answer.done():  # its sender may have gone
        waiting.answer.set_result(answer)


def _problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """Problem details (RFC 9457)."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, media_type="application/problem+json")


def _refusal(problems: Sequence[Problem]) -> JSONResponse:
    detail = f"{len(problems)} problem(s); nothing was published."
    return _problem(422, "Unprocessable Content", detail, problems=as_json(problems))


def _later(detail: str) -> JSONResponse:
    answer = _problem(503, "Service Unavailable", f"{detail} Send the same message again: repeats are dropped.")
    answer.headers["retry-after"] = "5"
    return answer


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
