"""What a release takes of each place of a schema, as a tree: what plans by field span are compiled from.

``Derivation`` gives it beside the released schema and the function that releases decoded values (the reference).
"""

import dataclasses
from collections.abc import Sequence

from schemas.rules import ReleaseRule


@dataclasses.dataclass(frozen=True, slots=True)
class Whole:
    """The place as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    """A scalar under a rule that changes it; what is released is a string."""

    rule: ReleaseRule


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """Some fields of a record, by name, in the record's order."""

    fields: Sequence[tuple[str, "Cut"]]


@dataclasses.dataclass(frozen=True, slots=True)
class Each:
    """Each item of an array, or each value of a map with its key."""

    item: "Cut"


@dataclasses.dataclass(frozen=True, slots=True)
class Nullable:
    """What is released of the branch that is not null."""

    other: "Cut"


Cut = Whole | Ruled | Fields | Each | Nullable
