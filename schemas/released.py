"""What an agreement releases of a payload: the released schema and the released value.

Denied is the default. The most specific path decides: ``child: keep`` with ``child.nik: drop`` releases a child without
its number. A record of which something is released stays a record with those fields only; of a list or map of which
something is released, the number of items and the keys are released too.
"""

from collections.abc import Mapping
from typing import Any

from schemas import paths
from schemas.release_derivation import Derivation, ReleaseProblems
from schemas.rules import Pseudonymise, ReleaseRule

__all__ = ["ReleaseProblems", "Releaser", "deciding_rule", "released_schema"]


def released_schema(source: Any, release: Mapping[str, ReleaseRule], *, name: str, namespace: str) -> Any:
    """The Avro schema of what is released of ``source``: a record called ``name`` in ``namespace``.

    Types that are released whole keep their names, others get names that tell the place. Texts for people stay; aliases
    and attributes that begin with ``lintas`` do not. A default stays where it is a value of what is released.

    Raises:
        ReleaseProblems: with every problem.
    """
    head = {"type": "record", "name": name, "namespace": namespace}
    return {**head, **Derivation(source, release).released.type, **head}


class Releaser:
    """Releases decoded payloads under one agreement; compiled once, pure.

    Attributes:
        cut: the same release for plans by field span.
    """

    def __init__(self, source: Any, release: Mapping[str, ReleaseRule]) -> None:
        """``source`` is the schema as which events are read.

        Raises:
            ReleaseProblems: with every problem.
        """
        released = Derivation(source, release).released
        self._release = released.release
        self.cut = released.cut

    def __call__(self, data: Mapping[str, Any], pseudonymise: Pseudonymise) -> dict[str, Any]:
        """What is released of a payload in which every field of the schema stands.

        Raises:
            CannotRelease: a value cannot be released under its rule; nothing of the event may then be.
        """
        return self._release(data, pseudonymise)  # type: ignore[no-any-return]  # the top level is a record


def deciding_rule(path: str, release: Mapping[str, ReleaseRule]) -> ReleaseRule | None:
    """The rule that decides over a field without fields below it: that of the most specific path; None withholds it."""
    covering = [rule for rule in release if paths.covers(rule, path)]
    rule = release[max(covering, key=len)] if covering else None
    return None if rule is None or rule.name == "drop" else rule
