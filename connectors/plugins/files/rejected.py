"""The list of rejected rows beside a file: ``<name>.rejected.csv``."""

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from connectors.mapping import FieldProblem
from connectors.mapping.computed import plain
from connectors.plugins.files.lines import LONGEST

SUFFIX: Final = ".rejected.csv"
_COLUMNS: Final = ("line", "record", "column", "field", "rule", "problem")


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A rejected row: where it is, what is wrong, and the row itself if it could be read."""

    line: int
    record: int
    problems: Sequence[FieldProblem]
    row: Mapping[str, Any] | None = dataclasses.field(repr=False)


class Rejected:
    """Grows with the file that is read; after a crash it is cut back to what was behind then."""

    def __init__(self, path: Path, *, with_rows: bool) -> None:
        """``path`` of the list; ``with_rows`` shows the rows as JSON, which may hold personal data."""
        self.path = path
        self._with_rows = with_rows

    def cut_back(self, records: int) -> None:
        """Keep what is told of the first ``records`` rows; safe against crashes, and to be repeated."""
        csv.field_size_limit(LONGEST)
        try:
            with self.path.open(newline="", encoding="utf-8", errors="replace") as file:  # its end may be torn
                told = [row for row in csv.reader(file) if len(row) >= len(_COLUMNS) and row[1].isdecimal()]
        except FileNotFoundError:
            return
        kept = [row for row in told if int(row[1]) <= records]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        new = self.path.with_name(f".{self.path.name}.new")
        new.unlink(missing_ok=True)
        _append(new, [self._header(), *kept])
        new.replace(self.path)

    def add(self, entries: Sequence[Entry]) -> None:
        """Tell what is wrong with rows; on disk when it returns."""
        told: list[list[Any]] = []
        for entry in entries:
            shown = [json.dumps(plain(entry.row), ensure_ascii=False, default=repr)] if self._with_rows else []
            place = (entry.line, entry.record)
            told += [[*place, one.column, one.field, one.rule, one.message, *shown] for one in entry.problems]
        if told:
            _append(self.path, told if self.path.exists() else [self._header(), *told])

    def _header(self) -> list[str]:
        return [*_COLUMNS, "row"] if self._with_rows else [*_COLUMNS]


def _append(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    with path.open("ab") as file:
        file.write(text.getvalue().encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())
