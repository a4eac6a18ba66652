"""Parquet and Excel: rows of a table whose values have types already."""

import contextlib
import datetime as dt
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import openpyxl
import pyarrow.parquet as pq

from connectors.mapping import FieldProblem
from connectors.plugins.files.rows import Position, Row, UnreadableFile, bad_row, check_columns

MOST_BYTES: Final = 512 * 1024 * 1024  # of a workbook, unzipped: its texts are kept in memory
_VALUE: Final = bad_row("value", "holds a moment beyond microseconds or the years 1 to 9999, or a map with a key twice")


def parquet_rows(file: BinaryIO, wanted: frozenset[str], batch: int, start: Position) -> Iterator[Row]:
    """The rows behind ``start``; row groups before them are not read.

    Raises:
        UnreadableFile: it is no Parquet file, or lacks columns.
    """
    with _whole("it is no Parquet file, or not whole"):
        table = pq.ParquetFile(file)
        names = list(table.schema_arrow.names)
    check_columns(names, frozenset(way if way in names else way.split(".")[0] for way in wanted))
    return _parquet_rows(table, batch, start)


def _parquet_rows(table: Any, batch: int, start: Position) -> Iterator[Row]:
    records, offset = start.records, start.offset
    behind, groups = 0, list[int]()
    for group in range(table.num_row_groups):
        size = table.metadata.row_group(group).num_rows
        if groups or behind + size > records:
            groups.append(group)
        else:
            behind += size
    parts = iter(table.iter_batches(batch_size=batch, row_groups=groups) if groups else ())
    while (part := _next(parts, "it is not whole: its rows cannot be read to their end")) is not None:
        for record in _records(part):
            behind += 1
            if behind > records:
                offset += part.nbytes // len(part)
                yield Row(behind, record, _VALUE if record is None else None, Position(behind, behind, offset))


def _records(part: Any) -> list[dict[str, Any] | None]:
    """The rows of a part; None is one that Python has no values for."""
    try:
        records: list[dict[str, Any] | None] = part.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError, KeyError):
        return [None] if len(part) == 1 else [_records(part.slice(one, 1))[0] for one in range(len(part))]
    return records


def excel_rows(file: BinaryIO, sheet: str | None, skip: int, wanted: frozenset[str], start: Position) -> Iterator[Row]:
    """The rows of a sheet behind ``start``, header first; empty ones are none. Formulas give what they last gave.

    Raises:
        UnreadableFile: it is no workbook, or has no such sheet, no header, or lacks columns.
    """
    with _whole("it is no Excel workbook (.xlsx), or has a password, or is not whole"):
        _check_size(file)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    pages = {page.title: page for page in book.worksheets}
    if sheet is None and len(pages) != 1:
        raise UnreadableFile(f"it has {len(pages)} sheets, hidden ones among them: name one with `sheet`")
    if sheet is not None and sheet not in pages:
        raise UnreadableFile(f"none of its {len(pages)} sheets is called {sheet}")
    page: Any = pages[sheet] if sheet is not None else next(iter(pages.values()))
    page.reset_dimensions()  # what some programs write there is wrong; the rows themselves are counted
    rows = page.iter_rows(min_row=skip + 1)
    header = _next(rows, "its sheet is not whole")
    if header is None:
        raise UnreadableFile("it has no header")
    titles = [str(cell.value).strip() if cell.value is not None else "" for cell in header]
    while titles and not titles[-1]:
        titles.pop()
    check_columns([title for title in titles if title], wanted)
    return _excel_rows(rows, titles, skip + 1, start)


def _excel_rows(rows: Iterator[Any], titles: list[str], line: int, start: Position) -> Iterator[Row]:
    records = start.records
    while (cells := _next(rows, "its sheet is not whole: its rows cannot be read to their end")) is not None:
        line += 1
        if line <= start.lines or all(cell.value is None for cell in cells):
            continue
        records += 1
        after = Position(records, line)
        problem = _faults(cells, titles)
        if problem is not None:
            yield Row(line, None, problem, after)
            continue
        values = [_value(cell.value) for cell in cells] + [None] * len(titles)
        yield Row(line, {title: value for title, value in zip(titles, values, strict=False) if title}, None, after)


def _check_size(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        size = sum(part.file_size for part in archive.infolist())  # more of a part is not unzipped
    if size > MOST_BYTES:
        raise UnreadableFile(f"it has {size} bytes when unzipped, more than {MOST_BYTES}: save it as CSV")
    file.seek(0)


@contextlib.contextmanager
def _whole(otherwise: str) -> Iterator[None]:
    """Whatever goes wrong in the libraries that read tables goes wrong because of the file; their texts show values.

    Raises:
        UnreadableFile: something went wrong.
    """
    try:
        yield
    except UnreadableFile:
        raise
    except Exception:  # noqa: BLE001  they raise whatever comes to it: TypeError, IndexError, zlib.error ...
        raise UnreadableFile(otherwise) from None


def _next(rows: Iterator[Any], otherwise: str) -> Any:
    """The next one, None at the end.

    Raises:
        UnreadableFile: it cannot be read.
    """
    with _whole(otherwise):
        return next(rows, None)


def _faults(cells: Any, titles: list[str]) -> FieldProblem | None:
    if any(cell.value is not None for cell in cells[len(titles) :]):
        return bad_row("cells", f"has cells beyond its {len(titles)} columns")
    wrong = [title for title, cell in zip(titles, cells, strict=False) if cell.data_type == "e"]
    if wrong:
        return FieldProblem("", ", ".join(wrong), "formula", "holds an error of a formula, as #N/A")
    return None


def _value(value: Any) -> Any:
    """Numbers as they are kept there: with 15 digits, whole or not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return str(value) if isinstance(value, dt.timedelta) else value
