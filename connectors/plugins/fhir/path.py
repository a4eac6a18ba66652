"""Ways through a resource and along its references, as mappings write them.

``code.coding[system=http://hl7.org/fhir/sid/icd-10].code`` goes through fields and picks items of lists by what is in
them; ``name[0].text`` picks one by its number; ``diagnosis[*].condition->code.text`` takes all of them, as a list;
``subject->birthDate`` follows a reference to another entry of the bundle; ``subject->id`` is the number that a
reference names, also where the resource is not in the bundle. A path that leads to several values must say which.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.plugins.fhir.bundle import Bundle

_CHOICE: Final = r"\[(?:\*|\d+|[A-Za-z][A-Za-z0-9.]*=[^\[\]]+)\]"  # all, by number, by what is in it
_STEP: Final = re.compile(rf"([A-Za-z][A-Za-z0-9]*)((?:{_CHOICE})*)", re.ASCII)
_SELECTOR: Final = re.compile(r"\[([^\[\]]+)\]")
_FOLLOW: Final = "->"


class BadPath(ValueError):
    """The path cannot be read; the message says from where on."""


class Several(ValueError):
    """The path leads to several values, and does not say which one is meant."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """A field, whether a reference is followed before it, and which items of its list are meant."""

    name: str
    follow: bool
    selectors: tuple[str, ...]


class Path:
    """A way from a resource to a value."""

    def __init__(self, text: str) -> None:
        """Read a path.

        Raises:
            BadPath: it is not one.
        """
        self.text = text
        self._steps: list[_Step] = []
        at, follow = 0, False
        while True:
            step = _STEP.match(text, at)
            if step is None:
                raise BadPath(f"is no path from its character {at + 1} on")
            self._steps.append(_Step(step[1], follow, tuple(_SELECTOR.findall(step[2]))))
            at = step.end()
            if at == len(text):
                break
            follow = text.startswith(_FOLLOW, at)
            if not follow and text[at] != ".":
                raise BadPath(f"is no path from its character {at + 1} on")
            at += len(_FOLLOW) if follow else 1
        self._many = any("*" in step.selectors for step in self._steps)

    def __call__(self, resource: Mapping[str, Any], bundle: Bundle) -> Any:
        """The value, None if there is none; of a path with ``[*]`` the list of all.

        Raises:
            Several: it says nothing of which of several values is meant.
        """
        nodes: list[Any] = [resource]
        for step in self._steps:
            nodes = [found for node in nodes for found in _go(step, node, bundle)]
        if self._many:
            return nodes
        if len(nodes) > 1:
            raise Several
        return nodes[0] if nodes else None


def _go(step: _Step, node: Any, bundle: Bundle) -> list[Any]:
    if step.follow:
        reference = node.get("reference") if isinstance(node, Mapping) else None
        if not isinstance(reference, str):
            return []
        if step.name == "id":
            number = bundle.number(reference)
            return [] if number is None else [number]
        node = bundle.resolve(reference)
    value = node.get(step.name) if isinstance(node, Mapping) else None
    found = value if isinstance(value, list) else [] if value is None else [value]
    for selector in step.selectors:
        found = _select(found, selector)
    return found


def _select(found: list[Any], selector: str) -> list[Any]:
    if selector == "*":
        return found
    if selector.isdecimal():
        return found[int(selector) : int(selector) + 1]
    key, _, wanted = selector.partition("=")
    return [item for item in found if wanted in map(_written, _below(item, key.split(".")))]


def _written(value: Any) -> str:
    """A value as a path has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _below(item: Any, names: list[str]) -> list[Any]:
    """Every value at the end of a way through fields, whatever lists are on it."""
    values = [item]
    for name in names:
        inside = [value.get(name) for value in values if isinstance(value, Mapping)]
        values = [one for value in inside for one in (value if isinstance(value, list) else [value])]
    return values
