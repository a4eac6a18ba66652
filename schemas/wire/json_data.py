"""Natural JSON to Avro values and back: what people write, not Avro's own JSON encoding.

Dates are ``"2026-11-24"``, moments RFC 3339, decimals texts (or whole numbers), bytes base64, enums texts; a nullable
value stands as it is; of a union of several types the first branch without problems is meant. Numbers that JSON lacks
are the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

import base64
import datetime as dt
import decimal
import functools
import math
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from .codec import Codec
from .decoder import decoder_of
from .encoder import closest, default_bytes, encoder_of, whole_numbers_first
from .errors import MalformedData, Problem
from .moments import moment
from .scalars import Encode, Problems, Run, Unreadable
from .types import DEEPEST, NO_DEFAULT, Array, Map, Record, Scalar, Type, Union, is_null


class _Run:
    """What one reading remembers: how deep it is, and what it tried in unions of records."""

    __slots__ = ("depth", "tried")

    def __init__(self) -> None:
        self.depth = 0
        self.tried: dict[tuple[int, int], tuple[Any, Problems]] = {}


Read = Callable[[Any, _Run], Any]  # a JSON value to an Avro value, with Unreadable where that fails

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?", re.ASCII)
_LOCAL = re.compile(_DATE.pattern + "T" + _TIME.pattern, re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,2000}(\.\d{1,2000})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MILLI: Final = 1000
_ALIKE: Final = frozenset({str, int, bool, type(None)})  # the same in JSON, and most of all values


def from_json(codec: Codec, value: Any) -> Any:
    """The Avro value that a JSON value means under the codec's schema, missing fields filled with their defaults.

    Raises:
        MalformedData: with every problem.
    """
    data = _reader(codec)(value, _Run())
    if problems := codec.check(data):
        raise MalformedData(problems)
    return data


def encode(codec: Codec, value: Any) -> bytes:
    """Avro binary of what a JSON value means: as ``from_json``, and checked while it is written.

    Raises:
        MalformedData: with every problem.
    """
    return codec.encode(_reader(codec)(value, _Run()))


def to_json(codec: Codec, data: Any) -> Any:  # noqa: ARG001  the schema is part of what a caller promises
    """The JSON value of an Avro value of the codec's schema; ``from_json`` gives the value back."""
    return _written(data)


def _written(data: Any) -> Any:  # noqa: PLR0911  one line a type
    if type(data) in _ALIKE:
        return data
    if isinstance(data, Mapping):
        return {name: _written(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_written(item) for item in data]
    if isinstance(data, bytes):
        return base64.b64encode(data).decode()
    if isinstance(data, decimal.Decimal):
        return format(data, "f")
    if isinstance(data, uuid.UUID):
        return str(data)
    if isinstance(data, float) and not math.isfinite(data):
        return next(text for text, number in _NOT_FINITE.items() if repr(number) == repr(data))
    if isinstance(data, dt.datetime):
        spec = "microseconds" if data.microsecond % _MILLI else "milliseconds"
        if data.tzinfo is None:
            return data.isoformat(timespec=spec)
        return data.astimezone(dt.UTC).isoformat(timespec=spec).replace("+00:00", "Z")
    if isinstance(data, dt.date | dt.time):
        return data.isoformat()
    return data


@functools.lru_cache(1024)
def _reader(codec: Codec) -> Read:
    return _Making().of(codec.type)


class _Making:
    """Makes a schema's readers, one for each type."""

    def __init__(self) -> None:
        self._records: dict[int, Read] = {}

    def of(self, of: Type) -> Read:
        if isinstance(of, Record):
            return self._record(of)
        if isinstance(of, Array):
            return _array(self.of(of.items))
        if isinstance(of, Map):
            return _map(self.of(of.values))
        if isinstance(of, Scalar):
            return _SCALARS.get(of.logical or of.kind, _as_it_is)
        if not isinstance(of, Union):
            return _as_it_is
        if (other := of.nullable()) is not None:
            return _nullable(self.of(other[1]))
        branches = [of.branches[index] for index in whole_numbers_first(of)]
        return _union([(self.of(branch), encoder_of(branch)) for branch in branches if not is_null(branch)])

    def _record(self, of: Record) -> Read:
        if id(of) in self._records:
            return self._records[id(of)]
        readers: dict[str, Read] = {}
        defaults: dict[str, Callable[[], Any]] = {}
        self._records[id(of)] = made = _record(readers, defaults, recursive=of.recursive)
        for field in of.fields:
            readers[field.name] = self.of(field.type)
            if field.default is not NO_DEFAULT:
                binary = default_bytes(field.type, field.default, field.name)
                # Decoded anew each time: a default may be a list, and values belong to who reads them.
                defaults[field.name] = functools.partial(decoder_of(field.type, strict=True), binary)
        return made


def _as_it_is(value: Any, _run: _Run) -> Any:
    return value


def _record(readers: Mapping[str, Read], defaults: Mapping[str, Callable[[], Any]], *, recursive: bool) -> Read:
    def read(value: Any, run: _Run) -> Any:
        if not isinstance(value, Mapping):
            return value
        if recursive and run.depth >= DEEPEST:
            return Unreadable(Problem("", "depth", f"is nested more than {DEEPEST} levels deep"))
        run.depth += recursive
        data = {name: readers[name](item, run) if name in readers else item for name, item in value.items()}
        run.depth -= recursive
        for name, default in defaults.items():
            if name not in data:
                data[name] = default()
        return data

    return read


def _array(read_item: Read) -> Read:
    def read(value: Any, run: _Run) -> Any:
        return [read_item(item, run) for item in value] if isinstance(value, list) else value

    return read


def _map(read_item: Read) -> Read:
    def read(value: Any, run: _Run) -> Any:
        return {key: read_item(item, run) for key, item in value.items()} if isinstance(value, Mapping) else value

    return read


def _nullable(read_other: Read) -> Read:
    def read(value: Any, run: _Run) -> Any:
        return None if value is None else read_other(value, run)

    return read


def _union(branches: list[tuple[Read, Encode]]) -> Read:
    def read(value: Any, run: _Run) -> Any:
        if value is None:
            return None
        tries: list[Problems] = []
        for read_branch, check_branch in branches:
            # A recursive union would try the same parts again and again, so each pair is tried once.
            done = run.tried.get((id(value), id(read_branch)))
            if done is None:
                data = read_branch(value, run)
                done = (data, check_branch(data, bytearray(), Run()))
                if isinstance(value, dict | list):
                    run.tried[id(value), id(read_branch)] = done
            if not done[1]:
                return done[0]
            tries.append(done[1])
        return Unreadable(*closest(tries))

    return read


def _scalar(read_text: Callable[[Any], Any], expected: str) -> Read:
    def read(value: Any, _run: _Run) -> Any:
        try:
            return read_text(value)
        except ValueError:
            return Unreadable(Problem("", "type", f"must be {expected}"))

    return read


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  told as one kind of problem
    return base64.b64decode(value, validate=True)  # binascii.Error is a ValueError


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return decimal.Decimal(value)
    return decimal.Decimal(_matching(_DECIMAL, value))


def _moment(value: Any) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  told as one kind of problem
    return moment(value)


def _local(value: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(_matching(_LOCAL, value))


def _real(value: Any) -> float | int:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, float | int) or not math.isfinite(value):
        raise ValueError
    return value


_BYTES: Final = _scalar(_bytes, "bytes in base64")
_REAL: Final = _scalar(_real, "a number")
_TIME_OF_DAY: Final = _scalar(lambda value: dt.time.fromisoformat(_matching(_TIME, value)), "a time such as 08:30:00")
_MOMENT: Final = _scalar(_moment, "a moment such as 2026-11-24T08:02:03.000+07:00")
_LOCAL_MOMENT: Final = _scalar(_local, "a date and time such as 2026-11-24T08:02:03")
_SCALARS: Final[Mapping[str, Read]] = {
    "bytes": _BYTES,
    "fixed": _BYTES,
    "float": _REAL,
    "double": _REAL,
    "decimal": _scalar(_decimal, 'a decimal number as text, such as "12.50", or a whole number'),
    "date": _scalar(lambda value: dt.date.fromisoformat(_matching(_DATE, value)), "a date such as 2026-11-24"),
    "time-millis": _TIME_OF_DAY,
    "time-micros": _TIME_OF_DAY,
    "timestamp-millis": _MOMENT,
    "timestamp-micros": _MOMENT,
    "local-timestamp-millis": _LOCAL_MOMENT,
    "local-timestamp-micros": _LOCAL_MOMENT,
    "uuid": _scalar(lambda value: uuid.UUID(_matching(_UUID, value)), "a UUID"),
}
