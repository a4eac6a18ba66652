"""What schemas/wire promises as a whole: it stands alone, and its errors say everything but values."""

import ast
import sys
from pathlib import Path

import pytest

import schemas.wire
from schemas.wire.errors import (
    InvalidSchema,
    MalformedData,
    MalformedEnvelope,
    MalformedEvent,
    MalformedFraming,
    Problem,
    UnknownSchema,
)

FILES = sorted(Path(schemas.wire.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_wire_format_needs_python_and_fastavro_only(file: Path) -> None:
    """Agencies install it within lintas-client under another name."""
    imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    absolute = [
        name.partition(".")[0]
        for node in imports
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] * (not node.level)
        )
    ]
    assert {name for name in absolute if name not in sys.stdlib_module_names} <= {"fastavro"}


def test_the_client_ships_the_same_files() -> None:
    link = Path(schemas.wire.__path__[0]).parents[1] / "connectors" / "client" / "lintas_client" / "wire"
    assert link.resolve() == Path(schemas.wire.__path__[0]).resolve()


@pytest.mark.parametrize(
    ("error", "stage"),
    [
        (MalformedEnvelope, "envelope"),
        (MalformedFraming, "framing"),
        (UnknownSchema, "framing"),
        (MalformedData, "schema"),
    ],
)
def test_a_malformed_event_tells_its_stage_and_every_problem(error: type[MalformedEvent], stage: str) -> None:
    problems = [Problem("child.nik", "nik", "must be 16 digits"), Problem("", "trailing-bytes", "{0} bytes follow")]
    caught = error(iter(problems))
    assert caught.stage == stage
    assert caught.problems == tuple(problems)
    assert str(caught).endswith(": child.nik: must be 16 digits; {0} bytes follow.")


def test_an_invalid_schema_tells_its_reason() -> None:
    assert str(InvalidSchema("f has no type")) == "The Avro schema cannot be used: f has no type."
