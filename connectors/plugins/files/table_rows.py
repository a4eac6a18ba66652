"""Parquet and Excel: rows of a table whose values have types already."""

import datetime as dt
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.mapping import FieldProblem
from connectors.plugins.files.rows import Position, Row, UnreadableFile, bad_row, check_columns


def parquet_rows(file: BinaryIO, wanted: frozenset[str], batch: int, records: int = 0) -> Iterator[Row]:
    """The rows behind the first ``records``; row groups before them are not read.

    Raises:
        UnreadableFile: it is no Parquet file, or lacks columns.
    """
    try:
        table = pq.ParquetFile(file)
    except pa.ArrowInvalid:
        raise UnreadableFile("it is no Parquet file, or not whole") from None
    check_columns(list(table.schema_arrow.names), wanted)
    return _parquet_rows(table, batch, records)


def _parquet_rows(table: Any, batch: int, records: int) -> Iterator[Row]:
    behind, groups = 0, list[int]()
    for group in range(table.num_row_groups):
        size = table.metadata.row_group(group).num_rows
        if groups or behind + size > records:
            groups.append(group)
        else:
            behind += size
    for part in table.iter_batches(batch_size=batch, row_groups=groups) if groups else ():
        for record in part.to_pylist():
            behind += 1
            if behind > records:
                yield Row(behind, record, None, Position(behind, behind))


def excel_rows(file: BinaryIO, sheet: str | None, skip: int, wanted: frozenset[str], start: Position) -> Iterator[Row]:
    """The rows of a sheet behind ``start``, header first; empty ones are none. Formulas give what they last gave.

    Raises:
        UnreadableFile: it is no workbook, or has no such sheet, no header, or lacks columns.
    """
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, ParseError, OSError):
        raise UnreadableFile("it is no Excel workbook (.xlsx), or not whole") from None
    names = book.sheetnames
    if sheet is None and len(names) != 1:
        raise UnreadableFile(f"it has {len(names)} sheets ({', '.join(names)}): name one with `sheet`")
    if sheet is not None and sheet not in names:
        raise UnreadableFile(f"it has no sheet {sheet}; its sheets are {', '.join(names)}")
    page = book[sheet or names[0]]
    page.reset_dimensions()  # what some programs write there is wrong; the rows themselves are counted
    rows = page.iter_rows(min_row=skip + 1)
    header = next(rows, None)
    if header is None:
        raise UnreadableFile("it has no header")
    titles = [str(cell.value).strip() if cell.value is not None else "" for cell in header]
    while titles and not titles[-1]:
        titles.pop()
    check_columns([title for title in titles if title], wanted)
    return _excel_rows(rows, titles, skip + 1, start)


def _excel_rows(rows: Iterator[Any], titles: list[str], line: int, start: Position) -> Iterator[Row]:
    records = start.records
    for cells in rows:
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
