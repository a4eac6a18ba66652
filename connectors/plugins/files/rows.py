"""What every format gives: rows, each with its number, its line and the position behind it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from connectors.mapping import FieldProblem


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """How far a file has been read.

    Attributes:
        records: rows so far, the bad ones among them.
        lines: physical lines so far; of Excel and Parquet, rows of the sheet or table.
        offset: bytes so far; of Parquet about those of the values, of Excel 0.
    """

    records: int = 0
    lines: int = 0
    offset: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row; its representation shows nothing of it.

    Attributes:
        line: where it begins, from 1, as editors and spreadsheets count.
        record: its values by column; None if it cannot be read.
        problem: why not.
        after: the position behind it.
    """

    line: int
    record: Mapping[str, Any] | None = dataclasses.field(repr=False)
    problem: FieldProblem | None
    after: Position


class UnreadableFile(ValueError):
    """The file as a whole cannot be read; the text says why, without values."""


def bad_row(rule: str, message: str) -> FieldProblem:
    """A problem of a row as a whole."""
    return FieldProblem("", "", rule, message)


def check_columns(names: list[str], wanted: frozenset[str]) -> None:
    """See whether a table has the columns that a mapping names.

    Raises:
        UnreadableFile: columns are missing, or two have one name.
    """
    # Names that the file has are not told: without a header they are the values of its first row.
    twice = [str(number) for number, name in enumerate(names, 1) if names.count(name) > 1]
    if twice:
        raise UnreadableFile(f"its columns {', '.join(twice)} do not each have a name of their own")
    absent = sorted(wanted.difference(names))
    if absent:
        raise UnreadableFile(
            f"it has no column {', '.join(absent)}, which the mapping names; `csv.columns` names those of a CSV file "
            "without a header"
        )
