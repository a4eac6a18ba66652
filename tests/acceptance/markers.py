"""Events in which every value that could give somebody away occurs nowhere else in the world.

Texts become markers, identifiers are unique and valid, moments unique to the millisecond, amounts unique; the markers'
bytes can then be searched for wherever they must not be. Enums, booleans, small numbers, whole dates and codes of
provinces and regencies stay: they are the same for thousands of people.
"""

import base64
import datetime as dt
import decimal
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas.wire import identifiers

# Texts that a condition compares with a literal.
KEPT = {"transport.carrier_code", "code"}
SECRET_HEADER = "x-handled-by"
EXTENSION = "casefile"
_LEAST_DIGITS = 12  # of a decimal that can be told from all others
_FIRST_BIRTH = dt.date(1950, 1, 1)


@dataclass(frozen=True, slots=True)
class Marker:
    """One value: where it stands, and the bytes by which it is found in texts and in Avro."""

    event: str
    event_type: str
    path: str  # `child.nik`, `bills[].shipper`, `headline` for a map's keys, `envelope.id`
    needles: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MarkedEvent:
    """An event to publish; ``id`` is the marker of its id."""

    id: str
    event_type: str
    system: str
    data: Mapping[str, Any]
    attributes: Mapping[str, str]  # time, key, extension, path of the source, a header of its own


@dataclass
class Marking:
    """Makes marked events; no value comes twice."""

    markers: list[Marker] = field(default_factory=list)
    _number: int = 0
    _moments: set[int] = field(default_factory=set)
    _event: str = ""
    _event_type: str = ""
    _names: dict[str, Any] = field(default_factory=dict)

    def event(self, event_type: str, system: str, schema: Any, data: Any) -> MarkedEvent:
        """An event like ``data`` (natural JSON)."""
        self._event_type, self._names = event_type, dict(_named(schema))
        self._event = self._text("envelope.id")
        attributes = {
            "time": self._moment("2026-11-24T02:03:04.000Z", "envelope.time"),
            "key": self._text("envelope.key"),
            EXTENSION: self._text(f"envelope.{EXTENSION}"),
            "source": self._text("envelope.source"),
            SECRET_HEADER: self._text(f"header.{SECRET_HEADER}"),
        }
        return MarkedEvent(self._event, event_type, system, self._value(schema, data, ""), attributes)

    def _value(self, schema: Any, value: Any, path: str) -> Any:  # noqa: PLR0911  a branch a type
        schema = self._names.get(schema, schema) if isinstance(schema, str) else schema
        if isinstance(schema, list):
            return self._value(self._branch(schema, value), value, path) if _to_fill(schema, value) else None
        kind, logical = (schema, None) if isinstance(schema, str) else (schema["type"], schema.get("logicalType"))
        if isinstance(kind, dict | list):
            return self._value(kind, value, path)
        if kind == "record":
            given = value if isinstance(value, Mapping) else {}
            below = f"{path}." if path else ""
            return {
                one["name"]: self._value(one["type"], given.get(one["name"]), below + one["name"])
                for one in schema["fields"]
            }
        if kind == "array":
            items = [self._value(schema["items"], item, f"{path}[]") for item in value or []]
            return items or ([self._text(f"{path}[]")] if schema["items"] == "string" else [])
        if kind == "map":
            return {
                self._text(path): self._value(schema["values"], item, f"{path}{{}}") for item in (value or {}).values()
            }
        if kind == "string":
            return self._identifier(logical, value, path) if logical else self._text(path, value)
        if kind == "enum":
            return value or schema["symbols"][0]
        if kind in ("bytes", "fixed") and logical == "decimal":
            return self._decimal(schema, value, path)
        if kind in ("bytes", "fixed"):
            return self._bytes(schema.get("size", 0) if isinstance(schema, dict) else 0, path)
        if logical == "timestamp-millis":
            return self._moment(value or "2026-11-20T01:02:03.000Z", path)
        if kind == "double":
            return self._double(value or 1.0, path)  # near nought it would be written with an exponent
        return _any_of(kind, logical) if value is None else value

    def _branch(self, union: list[Any], value: Any) -> Any:
        branches = [self._names.get(one, one) if isinstance(one, str) else one for one in union if one != "null"]
        for branch in branches:
            if isinstance(value, Mapping) and isinstance(branch, dict) and branch.get("type") == "record":
                if set(value) <= {one["name"] for one in branch["fields"]}:
                    return branch
            else:
                return branch
        raise AssertionError(union)

    def _mark(self, path: str, *needles: bytes) -> None:
        self.markers.append(Marker(self._event or needles[0].decode(), self._event_type, path, needles))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _text(self, path: str, value: str | None = None) -> str:
        if path in KEPT and value is not None:
            return value
        if path == "envelope.id":
            self._event = ""
        text = f"zq{self._next():06}kx"
        self._mark(path, text.encode())
        return text

    def _identifier(self, logical: str, value: str | None, path: str) -> str:
        number = self._next()
        if logical == "region-code":
            return self._region(value or "32.73.01.1001", number, path)
        made = _IDENTIFIERS[logical](number)
        assert identifiers.problem_of(logical, made) is None
        self._mark(path, made.encode())
        return made

    def _region(self, code: str, number: int, path: str) -> str:
        """A village or district that occurs once; districts in regencies above 40, where no case has a village."""
        if code.count(".") == 3:
            made = f"{code[:8]}.{1 + number // 999 % 3}{number % 999 + 1:03}"
        elif code.count(".") == 2:
            made = f"{code[:2]}.{41 + number // 99 % 29}.{number % 99 + 1:02}"
        else:
            return code
        assert identifiers.region_code(made) is None
        self._mark(path, made.encode())
        return made

    def _moment(self, text: str, path: str) -> str:
        at = dt.datetime.fromisoformat(text)
        ms = int(at.timestamp() * 1000)
        while ms in self._moments:
            ms += 1
        self._moments.add(ms)
        moment = dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        self._mark(path, moment.encode(), str(ms).encode(), _long(ms))
        return f"{moment}Z"

    def _decimal(self, schema: Any, value: str | None, path: str) -> str:
        if schema["precision"] < _LEAST_DIGITS:
            return value or "1"
        unscaled = 10**11 + 987_654_321 * self._next() % 10**11
        text = format(decimal.Decimal(unscaled).scaleb(-schema["scale"]), "f")
        self._mark(path, text.encode(), unscaled.to_bytes((unscaled.bit_length() + 8) // 8))
        return text

    def _bytes(self, size: int, path: str) -> str:
        content = f"zq{self._next():06}kb".encode().ljust(size, b"~")
        self._mark(path, content, base64.b64encode(content))
        return base64.b64encode(content).decode()

    def _double(self, value: float, path: str) -> float:
        made = round(value, 4) + self._next() * 1e-9
        self._mark(path, struct.pack("<d", made), repr(made).encode())
        return made


def _to_fill(union: list[Any], value: Any) -> bool:
    """Whether a nullable field holds something: texts and records always do, so that they can be withheld."""
    others = [one for one in union if one != "null"]
    scalars = ("int", "long", "boolean", "double")
    plain = all(one in scalars or (isinstance(one, dict) and one["type"] in (*scalars, "enum")) for one in others)
    return value is not None or not plain


def _any_of(kind: str, logical: str | None) -> Any:
    return "2026-11-20" if logical == "date" else {"boolean": True}.get(kind, 1)


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every named type of a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch)
    elif isinstance(schema, dict):
        if "name" in schema and "type" in schema and isinstance(schema["type"], str):
            yield schema["name"], schema
        for below in (
            schema.get("items"),
            schema.get("values"),
            schema["type"],
            *(one["type"] for one in schema.get("fields", ())),
        ):
            yield from _named(below)


def _long(value: int) -> bytes:
    """Avro's zigzag."""
    left, out = value << 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def _nik(number: int) -> str:
    return identifiers.make_nik("320141", _FIRST_BIRTH + dt.timedelta(days=number), number % 2 == 0, number % 9999 + 1)


def _npwp(number: int) -> str:
    return identifiers.make_npwp(f"{77_000_000 + number:08}{number:06}")


_IDENTIFIERS: Mapping[str, Callable[[int], str]] = {
    "nik": _nik,
    "npwp": _npwp,
    "nitku": lambda number: _npwp(number) + f"{number:06}",
    "nib": lambda number: f"91{number:011}",
    "nisn": lambda number: f"7{number:09}",
    "nip": lambda number: (
        f"{_FIRST_BIRTH + dt.timedelta(days=number):%Y%m%d}{1990 + number % 30:04}121{number % 999 + 1:03}"
    ),
}


def cases(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every payload that some agreement's cases judge, with the event type; each once."""
    seen = set()
    for file in sorted((folder / "agreements").glob("*.cases.yaml")):
        agreement = yaml.safe_load(file.with_name(file.name.replace(".cases.yaml", ".yaml")).read_text())
        for case in yaml.safe_load(file.read_text()):
            data = case["event"]["data"]
            key = json.dumps([agreement["event_type"], data], sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield agreement["event_type"], data
