"""YAML and JSON read with the line of everything in them, strictly: no key twice, no aliases, dates left as written."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]  # keys and indexes from the top


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a text: its line from 1, its rule and what it is."""

    line: int
    rule: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """A text as read."""

    value: Any  # None where the text could not be read at all
    lines: Mapping[Path, int]
    faults: tuple[Fault, ...]


class _Loader(yaml.SafeLoader):
    """YAML without its dates: whoever knows what a field is reads them, and reports one that does not exist."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_TOO_DEEP: Final = "is nested too deep"


def read_yaml(text: str) -> Marked:
    """Read a YAML text that holds one mapping."""
    marks = _Marks()
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return _unreadable(1, "yaml-syntax", "must hold fields, each as `name: value`")
        marks.follow(node, ())
        value = None if marks.aliases else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _unreadable(mark.line + 1 if mark else 1, "yaml-syntax", error.problem or "is not YAML")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _unreadable(line, "yaml-syntax", f"holds the character #x{ord(text[error.position]):04x}")
    except ValueError as error:  # such as an int of too many digits
        return _unreadable(1, "yaml-syntax", str(error))
    except RecursionError:
        return _unreadable(1, "yaml-syntax", _TOO_DEEP)
    return Marked(value, marks.lines, tuple(marks.faults))


def read_json(text: str) -> Marked:
    """Read a JSON text."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return _unreadable(error.lineno, "schema-json", f"is not JSON: {error.msg}")
    except ValueError as error:
        return _unreadable(1, "schema-json", f"is not JSON: {error}")
    except RecursionError:
        return _unreadable(1, "schema-json", _TOO_DEEP)
    marks = _Marks()
    try:
        # JSON is YAML but for tabs, which in JSON stand between tokens only.
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
        assert node is not None, "JSON is never empty"
        marks.follow(node, ())
    except (yaml.YAMLError, RecursionError):
        return Marked(value, {}, ())  # lines only help
    return Marked(value, marks.lines, tuple(marks.faults))


def _unreadable(line: int, rule: str, message: str) -> Marked:
    return Marked(None, {}, (Fault(line, rule, message),))


class _Marks:
    """Walks a tree of YAML nodes for the line of each."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[Fault] = []
        self.aliases = False
        self._seen: set[int] = set()

    def follow(self, node: yaml.Node, path: Path) -> None:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return
        if id(node) in self._seen:
            self.aliases = True
            self.faults.append(
                Fault(node.start_mark.line + 1, "yaml-syntax", "is used twice by an alias: write it out")
            )
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.follow(item, (*path, index))
            return
        first: dict[Any, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in first:
                self.faults.append(Fault(line, "duplicate-key", f"{name} stands already in line {first[name]}"))
            if name is not None:
                first.setdefault(name, line)
                self.lines[(*path, name)] = line
                self.follow(value, (*path, name))
