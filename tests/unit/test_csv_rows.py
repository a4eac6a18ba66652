"""Whatever bytes a file holds: reading ends, and goes on from any row as if it had never stopped."""

import io

from hypothesis import example, given
from hypothesis import strategies as st

from connectors.plugins.files.csv_rows import CsvRows
from connectors.plugins.files.json_rows import json_rows
from connectors.plugins.files.lines import FileLines
from connectors.plugins.files.rows import Position, Row
from connectors.plugins.files.settings import Csv

PIECES = st.sampled_from(
    [b"a", b"1", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\xff", b"\0", "\u2028".encode(), b" "]
)
BYTES = st.lists(PIECES, max_size=60).map(b"".join)


def csv_rows(content: bytes, start: Position = Position()) -> list[Row]:  # noqa: B008  never changed
    lines = FileLines(io.BytesIO(content))
    table = CsvRows(lines, Csv(columns=["one", "two"]), 0, frozenset())
    if start.records:
        lines.go_to(start.lines, start.offset)
    return list(table.rows(start.records))


@given(BYTES)
@example(b'"a\n' * 150 + b"1,2\n")  # quotes that are never closed
@example(b'1,"a\nb"\n3,4')
def test_csv_goes_on_from_every_row(content: bytes) -> None:
    rows = csv_rows(content)
    for number, row in enumerate(rows, 1):
        assert row.after.records == number
        assert (row.record is None) == (row.problem is not None)
        assert csv_rows(content, row.after) == rows[number:]
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))


@given(st.lists(st.sampled_from([b'{"a": 1}', b"{", b"[]", b"\n", b"\r\n", b" ", b"\xff", b"null"]), max_size=40))
def test_json_lines_go_on_from_every_row(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    rows = list(json_rows(FileLines(io.BytesIO(content))))
    for number, row in enumerate(rows, 1):
        lines = FileLines(io.BytesIO(content))
        lines.go_to(row.after.lines, row.after.offset)
        assert list(json_rows(lines, row.after.records)) == rows[number:]


def test_a_line_longer_than_an_event_may_be_is_one_bad_row() -> None:
    rows = csv_rows(b"1,2\n" + b"x" * 9_000_000 + b",2\n3,4\n")
    assert [(row.line, row.problem and row.problem.rule) for row in rows] == [(1, None), (2, "size"), (3, None)]
    assert csv_rows(b"1,2\n" + b"x" * 9_000_000 + b",2\n3,4\n", rows[1].after) == rows[2:]
    rows = csv_rows(b'1,"2\n' + b"x" * 9_000_000 + b",2\n3,4\n")
    assert [(row.line, row.problem and row.problem.rule) for row in rows] == [(1, "quote"), (2, "size"), (3, None)]


def test_nul_bytes_and_line_ends_of_other_scripts_are_characters() -> None:
    rows = csv_rows("1,a\0b\n2,a\u2028b\n".encode())
    assert [row.record for row in rows] == [{"one": "1", "two": "a\0b"}, {"one": "2", "two": "a\u2028b"}]


def test_a_quoted_cell_may_hold_line_ends_and_is_read_in_one_piece() -> None:
    rows = csv_rows(b'1,"a\r\nb, ""c"""\r\n3,4\r\n')
    assert [(row.line, row.record) for row in rows] == [
        (1, {"one": "1", "two": 'a\r\nb, "c"'}),
        (3, {"one": "3", "two": "4"}),
    ]
