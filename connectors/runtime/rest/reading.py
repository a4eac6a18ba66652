"""What a request says: flags of its address, a JSON object in its body."""

import json
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request

from connectors.runtime.rest.errors import Refused

MOST_BYTES: Final = 1_000_000


def flag_of(request: Request, name: str) -> bool:
    """Whether a flag of the address is set; not so if it is not there.

    Raises:
        Refused: it is neither true nor false.
    """
    value = request.query_params.get(name, "false")
    if value not in ("true", "false", ""):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be true or false")
    return value != "false" and name in request.query_params


async def json_object(request: Request) -> dict[str, Any]:
    """The body.

    Raises:
        Refused: it is none.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MOST_BYTES} bytes")
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # it must go out again as it came in
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return found
