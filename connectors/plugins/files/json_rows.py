"""JSON Lines: an object in each line, UTF-8."""

import decimal
import json
from collections.abc import Iterator
from typing import Any, Final

from lintas_client.wire.types import DEEPEST

from connectors.mapping import FieldProblem
from connectors.plugins.files.lines import LONGEST, UTF8_BOM, Lines, is_too_long
from connectors.plugins.files.rows import Position, Row, bad_row

_EXACT: Final = 10**15  # floats below have 15 digits, each as it was written
_LONGEST_NUMBER: Final = 400  # characters; nothing that is meant has more
_TOO_DEEP: Final = bad_row("depth", f"is nested more than {DEEPEST} levels deep")


class _TwiceNamed(ValueError):
    """A member stands twice: readers differ about which one counts."""


def json_rows(lines: Lines, records: int = 0) -> Iterator[Row]:
    """The rows from where the lines stand, ``records`` being behind already; blank lines are none."""
    while (line := lines.next()) is not None:
        if not line.strip():
            continue
        records += 1
        after = Position(records, lines.number, lines.offset)
        found = _object(line.removeprefix(UTF8_BOM) if lines.number == 1 else line)
        if isinstance(found, FieldProblem):
            yield Row(lines.number, None, found, after)
        else:
            yield Row(lines.number, found, None, after)


def _object(line: bytes) -> dict[str, Any] | FieldProblem:
    if is_too_long(line):
        return bad_row("size", f"is a line of more than {LONGEST} bytes")
    try:
        found = json.loads(line.decode(), object_pairs_hook=_members, parse_float=_number, parse_constant=_no_constant)
    except UnicodeDecodeError:
        return bad_row("encoding", "holds bytes that are not UTF-8")
    except _TwiceNamed:
        return bad_row("json", "has an object in which a name stands twice")
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        return bad_row("json", "is not JSON")
    if line.count(b"{") + line.count(b"[") > DEEPEST and _is_deep(found):
        return _TOO_DEEP
    return found if isinstance(found, dict) else bad_row("object", "is JSON, but no object")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _TwiceNamed
    return members


def _number(written: str) -> float | decimal.Decimal:
    """A number with a point: a decimal where a float would not keep its digits, as of large amounts of money."""
    near = float(written)
    if "e" in written.lower() or len(written) > _LONGEST_NUMBER:
        return near
    exact = decimal.Decimal(written)
    return near if abs(near) < _EXACT and decimal.Decimal(repr(near)) == exact else exact


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
