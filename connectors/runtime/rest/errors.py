"""Answers of the REST API that are refusals, in Kafka Connect's shape: ``{"error_code": ..., "message": ...}``."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiokafka.errors import KafkaError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lintas.errors import ConnectorConflict, LintasError, UnknownName

log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]

_STATUS: Final[dict[type[Exception], HTTPStatus]] = {
    UnknownName: HTTPStatus.NOT_FOUND,
    ConnectorConflict: HTTPStatus.CONFLICT,
}


class Refused(Exception):
    """A request that is not right: its status and what is said."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def refusal(status: int, message: str) -> Response:
    """An error as Connect answers it."""
    return JSONResponse({"error_code": int(status), "message": message}, status)


async def not_there(_: Request, error: Exception) -> Response:
    """What is answered where no route leads."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return refusal(status, f"HTTP {status} {HTTPStatus(status).phrase}")


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint; what it raises becomes an answer, without values of events."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as error:
            return refusal(error.status, str(error))
        except LintasError as error:
            return refusal(_STATUS.get(type(error), HTTPStatus.SERVICE_UNAVAILABLE), str(error))
        except (KafkaError, TimeoutError) as error:
            log.warning("REST: %s", error)
            return refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"Kafka does not answer ({type(error).__name__}); ask again."
            )

    return answer
