"""A file opened at a position, whatever its format."""

from collections.abc import Iterator
from typing import BinaryIO

from connectors.plugins.files.csv_rows import CsvRows
from connectors.plugins.files.json_rows import json_rows
from connectors.plugins.files.lines import FileLines
from connectors.plugins.files.rows import Position, Row
from connectors.plugins.files.settings import Files, Format
from connectors.plugins.files.table_rows import excel_rows, parquet_rows


def rows_of(file: BinaryIO, name: str, settings: Files, wanted: frozenset[str], start: Position) -> Iterator[Row]:
    """The rows of a file behind a position.

    Args:
        file: open at its beginning.
        name: of the file.
        settings: how it is written.
        wanted: columns that the mapping names.
        start: what is behind already.

    Raises:
        UnreadableFile: no row of it can be read.
    """
    kind = settings.format_of(name)
    if kind is Format.PARQUET:
        return parquet_rows(file, wanted, settings.batch, start)
    if kind is Format.EXCEL:
        return excel_rows(file, settings.sheet, settings.skip, wanted, start)
    lines = FileLines(file)
    if kind is Format.JSON_LINES:
        lines.go_to(start.lines, start.offset)
        return json_rows(lines, start.records)
    table = CsvRows(lines, settings.csv, settings.skip, wanted)
    if start.records:
        lines.go_to(start.lines, start.offset)
    return table.rows(start.records)
