"""CSV (RFC 4180): rows of lines, quoted line ends among them."""

import csv
from collections.abc import Iterator
from typing import Final

from connectors.mapping import FieldProblem
from connectors.plugins.files.lines import LONGEST, UTF8_BOM, Lines, is_too_long
from connectors.plugins.files.rows import Position, Row, UnreadableFile, bad_row, check_columns
from connectors.plugins.files.settings import Csv

_MOST_LINES: Final = 100  # of one row: a quote that is not closed until then was not meant as one
_OTHER_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_OPEN: Final = bad_row("quote", "opens a quote that is not closed")
_Cells = list[str] | FieldProblem


class CsvRows:
    """The rows of a CSV file, header first.

    A row that is broken (a quote in the wrong place or never closed, bytes of another encoding) is one bad row of one
    line: reading goes on with the line behind it.
    """

    def __init__(self, lines: Lines, written: Csv, skip: int, wanted: frozenset[str]) -> None:
        """Read the header.

        Raises:
            UnreadableFile: it is missing, or not in the declared encoding, or lacks columns.
        """
        self._lines = lines
        self._written = written
        csv.field_size_limit(LONGEST)
        for _ in range(skip):
            lines.next()
        self.names = [name.strip() for name in written.columns or self._header()]
        check_columns(self.names, wanted)

    def rows(self, records: int = 0) -> Iterator[Row]:
        """The rows from where the lines stand, ``records`` being behind already; blank lines are none."""
        while True:
            first = self._lines.number + 1
            cells = self._cells()
            if cells is None:
                return
            if not cells:
                continue
            records += 1
            after = Position(records, self._lines.number, self._lines.offset)
            if isinstance(cells, FieldProblem):
                yield Row(first, None, cells, after)
            elif len(cells) != len(self.names):
                problem = bad_row("cells", f"has {len(cells)} cells, and there are {len(self.names)} columns")
                yield Row(first, None, problem, after)
            else:
                yield Row(first, dict(zip(self.names, cells, strict=True)), None, after)

    def _header(self) -> list[str]:
        cells = self._cells()
        if cells is None:
            raise UnreadableFile("it is empty; not even a header is there")
        if isinstance(cells, FieldProblem):
            raise UnreadableFile(f"its header {cells.message}")
        return cells

    def _cells(self) -> _Cells | None:
        """The cells of the next row or what is wrong with it; None at the end."""
        delimiter, quote = self._written.delimiter, self._written.quote
        texts, taken = list[str](), list[bytes]()
        while (line := self._lines.next()) is not None and len(taken) < _MOST_LINES:
            taken.append(line)
            decoded = self._decoded(line)
            if isinstance(decoded, FieldProblem):
                return self._broken(taken, decoded if len(taken) == 1 else _OPEN)
            texts.append(decoded)
            try:
                return next(csv.reader(texts, delimiter=delimiter, quotechar=quote, strict=True), [])
            except csv.Error as error:
                if "unexpected end" not in str(error):  # else a quote is open, and the row may go on
                    return self._broken(taken, bad_row("quote", "has a quote or line end where none may be"))
        if line is not None:
            self._lines.back([line])
        return self._broken(taken, _OPEN) if taken else None

    def _broken(self, taken: list[bytes], problem: FieldProblem) -> FieldProblem:
        self._lines.back(taken[1:])
        return problem

    def _decoded(self, line: bytes) -> str | FieldProblem:
        if is_too_long(line):
            return bad_row("size", f"is a line of more than {LONGEST} bytes")
        if self._lines.number == 1:
            if line.startswith(_OTHER_BOMS):
                raise UnreadableFile("it is in UTF-16: save it as UTF-8")
            line = line.removeprefix(UTF8_BOM)
        try:
            return line.decode(self._written.encoding)
        except UnicodeDecodeError:
            return bad_row("encoding", f"holds bytes that are not {self._written.encoding}")
