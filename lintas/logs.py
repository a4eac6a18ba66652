"""The log of a long-running program: one line a message, as JSON for machines or as text for a terminal.

A program calls `set_up` once. Messages are for people; what a machine may want to find them by goes beside them, as
``extra={"event": "agreement_set_aside", "agreement": name}`` with the names of ``FIELDS``, and only those.

Nothing personal is logged. An exception of somebody else's code may carry a value of an event in its text: it is told
by its class, a digest, and the places it came through, never by its text. Libraries are heard from ``warning`` on:
their debugging shows what passes over the wire.
"""

import contextlib
import datetime as dt
import enum
import hashlib
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Literal

OWN: Final = ("lintas", "schemas", "streams", "connectors", "monitoring", "lintas_client")
FIELDS: Final[Mapping[str, str]] = {
    "event": "which kind of message it is: stays the same when the words of the message change",
    "agreement": "id of an agreement",
    "attempt": "how often it has been tried",
    "catalogue": "digest of a catalogue",
    "connector": "name of a connector",
    "consumer": "a system that receives",
    "events": "how many events",
    "event_type": "name of an event type",
    "group": "a consumer group",
    "lane": "generation and number of a lane",
    "offset": "place in a partition",
    "page": "a page of the console, without its arguments",
    "part": "a server or program of the bus",
    "partition": "number of a partition",
    "reason": "why, without values of events",
    "replay": "number of a replay",
    "seconds": "how long it took, or will take",
    "status": "of an answer",
    "system": "a system that publishes or asks",
    "topic": "a topic",
    "trace": "digest of what an exception came through; the same defect has the same",
    "trace_id": "of W3C Trace Context: finds the spans that belong to the message",
}
DIGEST_CHARACTERS: Final = 12
_MOST_FRAMES: Final = 30
_SPEAK_FOR_US: Final = ("mode", "faust")
_PLAIN: Final = (str, int, float, enum.Enum, type(None))


def set_up(program: str, level: str) -> None:
    """Log to standard error as the bus's programs do, from here to the end of the process.

    ``LINTAS_LOG_FORMAT`` says how (``json`` or ``text``); without it a terminal gets text, all else JSON.

    Args:
        program: its name, on every line of JSON.
        level: from which level on the bus's own code is heard: debug, info, warning, error.
    """
    handler = _Handler(sys.stderr)
    handler.setFormatter(json_lines(program) if _form() == "json" else _Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended_by
    threading.excepthook = _thread_ended_by


def json_lines(program: str) -> logging.Formatter:
    """What writes messages as one JSON object a line."""
    return _Json(program)


def is_set_up() -> bool:
    """Whether this process is a program that logs, rather than a command that answers at a terminal."""
    return sys.excepthook is _ended_by


def frames(error: BaseException) -> list[str]:
    """Where it happened, from the outside in; what repeats, as in a deep recursion, stands once."""
    walked = traceback.walk_tb(error.__traceback__)
    places = (
        f"{'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{line} {frame.f_code.co_name}" for frame, line in walked
    )
    return list(dict.fromkeys(places))


def digest(error: BaseException) -> str:
    """What equal crashes have in common: a digest of the class and of where it happened."""
    told = "\n".join((type(error).__name__, *frames(error)))
    return hashlib.sha256(told.encode()).hexdigest()[:DIGEST_CHARACTERS]


def told(error: BaseException) -> str:
    """An exception in words that hold no value of an event.

    The bus's own exceptions say what happened, the likely cause and the remedy; of others only the class is told, and
    of the operating system's what it says about its number.
    """
    if type(error).__module__.partition(".")[0] in OWN:
        return str(error)
    kind = type(error).__name__
    return f"{kind}: {error.strerror}" if isinstance(error, OSError) and error.strerror else kind


class _Argument:
    """Stands in a message for what a library would have shown."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __str__(self) -> str:
        return self._shown

    __repr__ = __str__


def _message(record: logging.LogRecord) -> str:
    own = _is_own(record)
    text = str(record.msg)
    if record.args:
        text %= _shown(record.args, own=own)
    return text if own else text.partition("\n")[0]  # behind it come traces with the exceptions' texts


def _is_own(record: logging.LogRecord) -> bool:
    """Whether our code says it; services of ours are spoken for by mode and Faust too, under our names."""
    return record.name.partition(".")[0] in OWN and not any(f"/{name}/" in record.pathname for name in _SPEAK_FOR_US)


def _shown(arguments: Any, *, own: bool) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _argument(value, own=own) for name, value in arguments.items()}
    return tuple(_argument(value, own=own) for value in arguments)


def _argument(value: Any, *, own: bool) -> Any:
    if isinstance(value, BaseException):
        return _Argument(told(value))
    if own or isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_argument(one, own=False) for one in value]
    return _Argument(type(value).__name__)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}


def _of_exception(record: logging.LogRecord) -> dict[str, Any]:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    fields = {"error": type(error).__name__, "trace": digest(error), "frames": frames(error)[-_MOST_FRAMES:]}
    causes = [" < ".join([type(cause).__name__, *frames(cause)[-1:]]) for cause in _causes(error)]
    return fields | ({"causes": causes} if causes else {})


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _time(record: logging.LogRecord) -> str:
    at = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


class _Json(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": _message(record),
        }
        return json.dumps(line | _fields(record) | _of_exception(record), ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    """Time, level, logger, message; an exception by its class and places."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record)}"
        if of := _of_exception(record):
            line += f" [{of['error']}, trace {of['trace']}: {' > '.join([*of['frames'], *of.get('causes', ())])}]"
        return line


class _Handler(logging.StreamHandler[Any]):
    """Writes lines; where a message cannot be made, tells where it was meant to be, not of what."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        kind, _, _ = sys.exc_info()
        told_instead = logging.LogRecord(
            __name__,
            logging.ERROR,
            __file__,
            0,
            "no line could be written at %s:%d: %s",
            (record.pathname, record.lineno, kind.__name__ if kind else "unknown"),
            None,
        )
        with contextlib.suppress(OSError, ValueError):  # there is nobody left to tell
            self.stream.write(self.format(told_instead) + self.terminator)


def _ended_by(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical(
        "the program ends: %s", error, exc_info=(kind, error, trace), extra={"event": "program_crashed"}
    )


def _thread_ended_by(ended: threading.ExceptHookArgs) -> None:
    error = ended.exc_value
    if error is None or isinstance(error, SystemExit):
        return
    name = ended.thread.name if ended.thread else "unknown"
    logging.getLogger(__name__).critical(
        "the thread %s ends: %s",
        name,
        error,
        exc_info=(type(error), error, error.__traceback__),
        extra={"event": "thread_crashed"},
    )


def _form() -> Literal["json", "text"]:
    wanted = os.environ.get("LINTAS_LOG_FORMAT")
    if wanted in ("json", "text"):
        return "json" if wanted == "json" else "text"
    return "text" if sys.stderr.isatty() else "json"
