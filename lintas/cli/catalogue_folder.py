"""A catalogue folder as verbs that only read it need it: valid, with its names."""

import datetime as dt
import difflib
from collections.abc import Collection
from pathlib import Path

from lintas.errors import InvalidCatalogue, UnknownName
from schemas.compose import compose, numbering
from schemas.load import Catalogue, CatalogueProblem, load
from schemas.model import JAKARTA, Agreement
from schemas.snapshot import Snapshot
from schemas.validate import validate


def read_folder(directory: Path) -> tuple[Catalogue, Snapshot]:
    """A catalogue and what it stands for; agreements that have ended are no obstacle to looking.

    Raises:
        InvalidCatalogue: with every problem.
    """
    catalogue, problems = load(directory)
    refuse(directory, problems or validate(catalogue, today=dt.date.min))
    return catalogue, compose(catalogue, numbering())


def refuse(directory: Path, problems: Collection[CatalogueProblem]) -> None:
    """Report problems, if there are any.

    Raises:
        InvalidCatalogue: with every problem.
    """
    if problems:
        lines = (f"{directory / each.file}:{each.line}: {each.rule}: {each.message}" for each in sorted(problems))
        raise InvalidCatalogue(count=len(problems), report="\n".join(lines))


def require_name(kind: str, name: str, known: Collection[str], verb: str) -> None:
    """See that a name exists.

    Raises:
        UnknownName: it does not; with the closest that does.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise UnknownName(kind=kind, name=name, suggestion=f"{meant}`{verb}` lists them.")


def standing_today(agreement: Agreement) -> str:
    """Whether an agreement is in force now, for people."""
    return agreement.standing(dt.datetime.now(JAKARTA)).value.replace("_", " ")
