"""JSON Lines: an object in each line, UTF-8."""

import json
from collections.abc import Iterator
from typing import Any

from connectors.mapping import FieldProblem
from connectors.plugins.files.lines import LONGEST, UTF8_BOM, Lines, is_too_long
from connectors.plugins.files.rows import Position, Row, bad_row


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
        found = json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError:
        return bad_row("encoding", "holds bytes that are not UTF-8")
    except (ValueError, RecursionError):
        return bad_row("json", "is not JSON")
    return found if isinstance(found, dict) else bad_row("object", "is JSON, but no object")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
