"""What one catalogue changed of another, object by object and place by place. Pure."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.differences import Change, object_changes

MOST_PLACES: Final = 60  # of one object
_ABSENT: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One place of an object that differs; None: it was not there, or is not any more."""

    path: str
    was: str | None
    now: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Alteration:
    """One object that a catalogue created, altered or dropped.

    Attributes:
        change: as `lintas catalogue diff` names it.
        places: what differs, if it was altered; the first MOST_PLACES.
        more: how many more.
    """

    change: Change
    places: tuple[Place, ...] = ()
    more: int = 0


def alterations(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Alteration]:
    """Everything that changed from ``old`` to ``new``: published objects by name; the same ones may be left out."""
    found = []
    for change in object_changes(old, new):
        name = f"{change.kind.replace(' ', '-')}/{change.name}"
        places: list[Place] = []
        if change.action == "update":
            places = list(_differing(old[name], new[name], ""))
        found.append(Alteration(change, tuple(places[:MOST_PLACES]), max(0, len(places) - MOST_PLACES)))
    return found


def _differing(was: Any, now: Any, path: str) -> Iterator[Place]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*was, *now]):
            yield from _differing(was.get(key, _ABSENT), now.get(key, _ABSENT), f"{path}.{key}" if path else str(key))
    elif isinstance(was, list) and isinstance(now, list):
        yield from _of_lists(was, now, path)
    elif was != now:
        yield Place(path.removeprefix("contract."), _text(was), _text(now))


def _of_lists(was: list[Any], now: list[Any], path: str) -> Iterator[Place]:
    """Fields of schemas are told apart by their names, other items by where they stand."""
    named = all(isinstance(one, Mapping) and "name" in one for one in (*was, *now))
    if named:
        old, new = ({one["name"]: one for one in items} for items in (was, now))
        for name in dict.fromkeys([*old, *new]):
            yield from _differing(old.get(name, _ABSENT), new.get(name, _ABSENT), f"{path}[{name}]")
        return
    for at in range(max(len(was), len(now))):
        old_item = was[at] if at < len(was) else _ABSENT
        new_item = now[at] if at < len(now) else _ABSENT
        yield from _differing(old_item, new_item, f"{path}[{at + 1}]")


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
