"""One walk over a schema and an agreement's release, side by side: what becomes of each place (see ``released``)."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import fastavro

from schemas import paths
from schemas.avro_tree import NAMED, PRIMITIVES
from schemas.cuts import Cut, Each, Fields, Nullable, Ruled, Whole
from schemas.rules import CannotRelease, Pseudonymise, ReleaseRule, RuleDoesNotFit

_OURS: Final = "lintas"  # attributes of schemas that begin so say something to the bus only
_WHOLE: Final = ("keep", "drop")
_NO_DEFAULT: Final = object()
_Release = Callable[[Any, Pseudonymise], Any]


class ReleaseProblems(ValueError):
    """An agreement's release does not fit the event's schema.

    Attributes:
        problems: every problem as (path, message).
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = tuple(problems)


class Part(NamedTuple):
    """What becomes of one place of the schema."""

    type: Any  # the released type
    release: _Release
    default: Callable[[Any], Any]  # a default of the source to one of the released type, or _NO_DEFAULT
    cut: Cut


class Derivation:
    """One walk over a schema and the rules, for the released schema and the function that releases."""

    def __init__(self, source: Any, release: Mapping[str, ReleaseRule]) -> None:
        self._rules = dict(release)
        self._unused = set(release)
        self._problems: list[tuple[str, str]] = []
        self._named: dict[str, Mapping[str, Any]] = {}
        self._whole_types: set[str] = set()  # defined in the released schema already
        self._open: list[str] = []  # the records that we are inside of
        parsed = fastavro.parse_schema(source, _write_hint=False)  # every name in full, no namespaces
        _collect(parsed, self._named)
        self._taken = set(self._named)
        released = self._record(self._resolve(parsed), "", None)
        known = [field.path for field in paths.fields(source)]
        for path in sorted(self._unused):
            close = difflib.get_close_matches(path, known, n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            self._problems.append((path, f"the event has no such field{meant}"))
        if self._problems or released is None:
            raise ReleaseProblems(self._problems or [("", "nothing is released")])
        self.released = released

    def _resolve(self, node: Any) -> Any:
        """The type that ``node`` stands for: a mapping with ``type``, or a list (a union)."""
        if isinstance(node, str):
            return {"type": node} if node in PRIMITIVES else self._named[node]
        if isinstance(node, Mapping) and not (isinstance(node["type"], str) and node["type"] not in self._named):
            return self._resolve(node["type"])
        return node

    def _below(self, path: str) -> list[str]:
        """The rules for parts of what stands at ``path``."""
        return [rule for rule in self._rules if rule != path and paths.covers(path, rule)]

    def _refuse(self, path: str, message: str) -> None:
        """Note a problem that makes the rules below ``path`` meaningless."""
        self._problems.append((path, message))
        self._unused.difference_update(self._below(path))

    def _place(self, node: Any, path: str, inherited: ReleaseRule | None) -> Part | None:
        """What becomes of ``node`` at ``path``; None if nothing of it is released."""
        rule = self._rules.get(path, inherited)
        self._unused.discard(path)
        resolved = self._resolve(node)
        if isinstance(resolved, list):
            return self._union(resolved, path, rule)
        return self._type(resolved, path, rule)

    def _type(self, resolved: Mapping[str, Any], path: str, rule: ReleaseRule | None) -> Part | None:
        if self._below(path):
            return self._inside(resolved, path, rule)
        if rule is None or rule.name == "drop":
            return None
        if rule.name == "keep":
            return Part(self._whole(resolved), _as_it_is, lambda default: default, Whole())
        return self._scalar(resolved, path, rule)

    def _scalar(self, resolved: Mapping[str, Any], path: str, rule: ReleaseRule) -> Part | None:
        try:
            released_type = rule.released_type(resolved)
        except RuleDoesNotFit as error:
            self._problems.append((path, str(error)))
            return None

        def release(value: Any, pseudonymise: Pseudonymise) -> Any:
            try:
                return rule.released(value, pseudonymise)
            except CannotRelease as error:
                raise CannotRelease(str(error), path) from None

        return Part(released_type, release, lambda _: _NO_DEFAULT, Ruled(rule))

    def _union(self, branches: Sequence[Any], path: str, rule: ReleaseRule | None) -> Part | None:
        others = [branch for branch in branches if self._resolve(branch) != {"type": "null"}]
        if len(others) == 1:
            part = self._type(self._resolve(others[0]), path, rule)
            return part and _nullable(part, [branch is others[0] for branch in branches])
        if self._below(path) or (rule is not None and rule.name not in _WHOLE):
            self._refuse(path, "a union of several types is released whole or not at all (keep, drop)")
            return None
        if rule is None or rule.name == "drop":
            return None
        return Part([self._whole(branch) for branch in branches], _as_it_is, lambda default: default, Whole())

    def _inside(self, resolved: Mapping[str, Any], path: str, rule: ReleaseRule | None) -> Part | None:
        """A record, array or map of which rules name parts; ``rule`` holds for the parts that no rule names."""
        if rule is not None and rule.name not in _WHOLE:
            self._refuse(path, f"{rule.name} cannot be combined with rules for parts of the field")
            return None
        if resolved["type"] in ("record", "error"):
            return self._record(resolved, path, rule)
        if resolved["type"] == "array":
            return self._items(resolved, path, rule)
        if resolved["type"] == "map":
            return self._values(resolved, path, rule)
        return None  # the rules below stay unused and are reported as naming no field

    def _items(self, array: Mapping[str, Any], path: str, rule: ReleaseRule | None) -> Part | None:
        part = self._place(array["items"], f"{path}[]", rule)
        if part is None:
            return None
        release = part.release
        return Part(
            {**_plain(array), "items": part.type},
            lambda value, pseudonymise: [release(item, pseudonymise) for item in value],
            lambda default: _NO_DEFAULT if default else [],
            Each(part.cut),
        )

    def _values(self, mapping: Mapping[str, Any], path: str, rule: ReleaseRule | None) -> Part | None:
        part = self._place(mapping["values"], f"{path}{{}}", rule)
        if part is None:
            return None
        release = part.release
        return Part(
            {**_plain(mapping), "values": part.type},
            lambda value, pseudonymise: {key: release(item, pseudonymise) for key, item in value.items()},
            lambda default: _NO_DEFAULT if default else {},
            Each(part.cut),
        )

    def _record(self, record: Mapping[str, Any], path: str, rule: ReleaseRule | None) -> Part | None:
        if record["name"] in self._open:
            self._refuse(path, "a type that contains itself is released whole or not at all (keep, drop)")
            return None
        self._open.append(record["name"])
        parts = []
        for field in record["fields"]:
            part = self._place(field["type"], f"{path}.{field['name']}" if path else field["name"], rule)
            if part is not None:
                parts.append((field, part))
        self._open.pop()
        if not parts:
            return None
        schema = {
            **_plain(record),
            "name": self._name_at(record["name"], path),
            "fields": [_field(field, part) for field, part in parts],
        }
        releases = [(field["name"], part.release) for field, part in parts]
        return Part(
            schema,
            lambda value, pseudonymise: {name: release(value[name], pseudonymise) for name, release in releases},
            lambda default: _reduced(default, parts),
            Fields([(field["name"], part.cut) for field, part in parts]),
        )

    def _name_at(self, name: str, path: str) -> str:
        """A record has another shape at each place where it is reduced, so its name tells the place."""
        steps = path.replace("[]", "").replace("{}", "").replace("_", ".").split(".")
        place = f"{name}Released{''.join(step[:1].upper() + step[1:] for step in steps)}"
        unique, count = place, 1
        while unique in self._taken:
            count += 1
            unique = f"{place}{count}"
        self._taken.add(unique)
        return unique

    def _whole(self, node: Any) -> Any:
        """A type as it is, defined where it is met first."""
        resolved = self._resolve(node)
        if isinstance(resolved, list):
            return [self._whole(branch) for branch in resolved]
        kind = resolved["type"]
        if kind == "array":
            return {**_plain(resolved), "items": self._whole(resolved["items"])}
        if kind == "map":
            return {**_plain(resolved), "values": self._whole(resolved["values"])}
        if kind not in NAMED:
            return kind if set(resolved) == {"type"} else _plain(resolved)
        if resolved["name"] in self._whole_types:
            return resolved["name"]
        self._whole_types.add(resolved["name"])
        whole = _plain(resolved)
        if "fields" in resolved:
            whole["fields"] = [{**_plain(field), "type": self._whole(field["type"])} for field in resolved["fields"]]
        return whole


def _collect(node: Any, named: dict[str, Mapping[str, Any]]) -> None:
    """Note every named type of a schema whose names are in full."""
    if isinstance(node, list):
        for branch in node:
            _collect(branch, named)
    elif isinstance(node, Mapping):
        if node["type"] in ("record", "error", "enum", "fixed"):
            named[node["name"]] = node
        inner = [field["type"] for field in node.get("fields", ())]
        for part in (*inner, node.get("items"), node.get("values"), node["type"]):
            if not isinstance(part, str):
                _collect(part, named)


def _as_it_is(value: Any, pseudonymise: Pseudonymise) -> Any:  # noqa: ARG001  the signature of all that release
    return value


def _nullable(part: Part, is_part: Sequence[bool]) -> Part:
    """A part that may be null, with its branches in their order."""
    release, reduce = part.release, part.default
    return Part(
        [part.type if here else "null" for here in is_part],
        lambda value, pseudonymise: None if value is None else release(value, pseudonymise),
        lambda default: None if default is None else reduce(default),
        Nullable(part.cut),
    )


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "aliases" and not key.startswith(_OURS)}


def _field(field: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """A field of a reduced record."""
    released = {**_plain(field), "type": part.type}
    default = part.default(released.pop("default")) if "default" in field else _NO_DEFAULT
    return released if default is _NO_DEFAULT else {**released, "default": default}


def _reduced(default: Mapping[str, Any], parts: Sequence[tuple[Mapping[str, Any], Part]]) -> Any:
    """A default of a record, reduced as its values are; none if a field of it cannot be."""
    reduced = {}
    for field, part in parts:
        own = default.get(field["name"], field.get("default", _NO_DEFAULT))
        reduced[field["name"]] = _NO_DEFAULT if own is _NO_DEFAULT else part.default(own)
    return _NO_DEFAULT if any(value is _NO_DEFAULT for value in reduced.values()) else reduced
