"""What an agreement releases of a payload: the released schema and the released value.

Denied is the default. The most specific path decides: ``child: keep`` with ``child.nik: drop`` releases a child without
its number. Records of which something is released stay records with those fields only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.avro_tree import NAMED, Names, full_name
from schemas.rules import CannotRelease, Pseudonymise, ReleaseRule, RuleDoesNotFit

_OURS: Final = "lintas"
_Release = Callable[[Any, Pseudonymise], Any]


class ReleaseProblems(ValueError):
    """An agreement's release does not fit the event's schema.

    Attributes:
        problems: every problem as (path, message).
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = tuple(problems)


def released_schema(source: Any, release: Mapping[str, ReleaseRule], *, name: str, namespace: str) -> Any:
    """The Avro schema of what is released of ``source``.

    Raises:
        ReleaseProblems: with every problem.
    """
    schema = dict(_Derivation(source, release).schema)
    schema.pop("namespace", None)
    return {
        "type": "record",
        "name": name,
        "namespace": namespace,
        **{k: v for k, v in schema.items() if k not in ("type", "name")},
    }


class Releaser:
    """Releases payloads under one agreement; compiled once, pure."""

    def __init__(self, source: Any, release: Mapping[str, ReleaseRule]) -> None:
        """``source`` is the schema as which events are read.

        Raises:
            ReleaseProblems: with every problem.
        """
        self._release = _Derivation(source, release).release

    def __call__(self, data: Mapping[str, Any], pseudonymise: Pseudonymise) -> dict[str, Any]:
        """What is released of a payload.

        Raises:
            CannotRelease: a value cannot be released under its rule; nothing of the event may then be.
        """
        return self._release(data, pseudonymise)  # type: ignore[no-any-return]  # the top level is a record


class _Derivation:
    """Walks a schema and the release side by side, once, for the released schema and the function that releases."""

    def __init__(self, source: Any, release: Mapping[str, ReleaseRule]) -> None:
        self._rules = dict(release)
        self._names = Names(source)
        self._used: set[str] = set()
        self._defined: set[str] = set()
        self._problems: list[tuple[str, str]] = []
        self._open: list[int] = []
        derived = self._record(self._names.resolve(source), "", None, "")
        for path in sorted(set(self._rules) - self._used):
            self._problems.append((path, "the event has no such field"))
        if not self._problems and derived is None:
            self._problems.append(("", "nothing is released"))
        if self._problems or derived is None:
            raise ReleaseProblems(self._problems)
        self.schema, self.release = derived

    def _touches(self, path: str) -> bool:
        """Whether some rule stands at a path below ``path``."""
        return any(rule.startswith((f"{path}.", f"{path}[]", f"{path}{{}}")) for rule in self._rules)

    def _field(
        self, node: Any, path: str, inherited: ReleaseRule | None, namespace: str
    ) -> tuple[Any, _Release] | None:
        rule = self._rules.get(path, inherited)
        if path in self._rules:
            self._used.add(path)
        resolved = self._names.resolve(node, namespace)
        if isinstance(resolved, list):
            return self._union(resolved, path, rule, namespace)
        if self._touches(path):
            return self._inside(resolved, path, rule, namespace)
        if rule is None or rule.name == "drop":
            return None
        if rule.name == "keep":
            return self._whole(node, namespace), lambda value, _: value
        return self._scalar(resolved, path, rule)

    def _scalar(self, resolved: Any, path: str, rule: ReleaseRule) -> tuple[Any, _Release] | None:
        try:
            released = rule.released_type(resolved)
        except RuleDoesNotFit as error:
            self._problems.append((path, str(error)))
            return None

        def release(value: Any, pseudonymise: Pseudonymise) -> Any:
            try:
                return rule.released(value, pseudonymise)
            except CannotRelease as error:
                raise CannotRelease(f"{path}: {error}") from None

        return released, release

    def _union(
        self, branches: list[Any], path: str, rule: ReleaseRule | None, namespace: str
    ) -> tuple[Any, _Release] | None:
        others = [branch for branch in branches if branch != "null"]
        if len(others) == 1:
            derived = self._field_of_branch(others[0], path, rule, namespace)
            if derived is None:
                return None
            released, release = derived
            if len(branches) == 1:
                return [released], release
            order = ["null", released] if branches[0] == "null" else [released, "null"]
            return order, lambda value, pseudonymise: None if value is None else release(value, pseudonymise)
        if self._touches(path) or (rule is not None and rule.name not in ("keep", "drop")):
            self._problems.append(
                (path, "a union of several types is released whole or not at all (keep, drop)")
            )
            return None
        if rule is None or rule.name == "drop":
            return None
        return [self._whole(branch, namespace) for branch in branches], lambda value, _: value

    def _field_of_branch(
        self, node: Any, path: str, rule: ReleaseRule | None, namespace: str
    ) -> tuple[Any, _Release] | None:
        resolved = self._names.resolve(node, namespace)
        if self._touches(path):
            return self._inside(resolved, path, rule, namespace)
        if rule is None or rule.name == "drop":
            return None
        if rule.name == "keep":
            return self._whole(node, namespace), lambda value, _: value
        return self._scalar(resolved, path, rule)

    def _inside(
        self, resolved: Any, path: str, rule: ReleaseRule | None, namespace: str
    ) -> tuple[Any, _Release] | None:
        """A record, array or map of which rules name parts; ``rule`` holds for the parts that no rule names."""
        if rule is not None and rule.name not in ("keep", "drop"):
            self._problems.append((path, f"{rule.name} cannot be combined with rules for parts of the field"))
            return None
        kind = resolved["type"]
        if kind in ("record", "error"):
            return self._record(resolved, path, rule, namespace)
        if kind not in ("array", "map"):
            return None  # the rules below stay unused and are reported as naming no field
        mark, inner = ("[]", "items") if kind == "array" else ("{}", "values")
        derived = self._field(resolved[inner], path + mark, rule, namespace)
        if derived is None:
            return None
        item_type, release = derived
        if kind == "array":
            return {"type": "array", "items": item_type}, lambda value, p: [
                release(item, p) for item in value
            ]
        return {"type": "map", "values": item_type}, lambda value, p: {
            key: release(item, p) for key, item in value.items()
        }

    def _record(
        self, node: Mapping[str, Any], path: str, rule: ReleaseRule | None, namespace: str
    ) -> tuple[Any, _Release] | None:
        if id(node) in self._open:
            self._problems.append((path, "a type that contains itself is released whole or not at all"))
            return None
        self._open.append(id(node))
        inner = self._names.namespace_of(node, namespace)
        fields, releases = [], []
        for field in node["fields"]:
            name = field["name"]
            derived = self._field(field["type"], f"{path}.{name}" if path else name, rule, inner)
            if derived is not None:
                released_type, release = derived
                fields.append(_released_field(field, released_type))
                releases.append((name, release))
        self._open.pop()
        if not fields:
            return None
        schema = {"type": "record", "name": _reduced_name(full_name(node, namespace), path), "fields": fields}
        if "doc" in node:
            schema["doc"] = node["doc"]
        return schema, lambda value, p: {name: release(value[name], p) for name, release in releases}

    def _whole(self, node: Any, namespace: str) -> Any:
        """A type as it is: named types in full, defined where they are met first, without aliases and our attributes."""
        if isinstance(node, list):
            return [self._whole(branch, namespace) for branch in node]
        resolved = self._names.resolve(node, namespace)
        if isinstance(resolved, list):
            return [self._whole(branch, namespace) for branch in resolved]
        kind = resolved["type"]
        if kind == "array":
            return {**_plain(resolved), "items": self._whole(resolved["items"], namespace)}
        if kind == "map":
            return {**_plain(resolved), "values": self._whole(resolved["values"], namespace)}
        if kind not in NAMED:
            return kind if set(resolved) == {"type"} else _plain(resolved)
        full = full_name(resolved, namespace)
        if full in self._defined:
            return full
        self._defined.add(full)
        inner = self._names.namespace_of(resolved, namespace)
        whole = {**_plain(resolved), "name": full}
        whole.pop("namespace", None)
        if "fields" in resolved:
            whole["fields"] = [
                {**_plain(field), "type": self._whole(field["type"], inner)} for field in resolved["fields"]
            ]
        return whole


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "aliases" and not key.startswith(_OURS)}


def _released_field(field: Mapping[str, Any], released_type: Any) -> dict[str, Any]:
    """A field of a reduced record; of defaults only null is kept, since any other could tell what is withheld."""
    released: dict[str, Any] = {"name": field["name"], "type": released_type}
    if "doc" in field:
        released["doc"] = field["doc"]
    if field.get("default", 0) is None and isinstance(released_type, list) and released_type[0] == "null":
        released["default"] = None
    return released


def _reduced_name(full: str, path: str) -> str:
    """A reduced record has another shape at each place, so its name tells the place."""
    place = "".join(
        part.capitalize() for part in path.replace("[]", "").replace("{}", "").replace("_", ".").split(".")
    )
    return f"{full}Released{place}"
