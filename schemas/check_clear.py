"""Personal data that an agreement releases in clear: each must be named in ``personal_data_in_clear``, and no more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas import paths
from schemas.envelope_release import rule_for
from schemas.load import CatalogueProblem, Place
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, Classification, EventType
from schemas.released import deciding_rule

_WHAT_TO_DO = "name it in personal_data_in_clear, or choose another rule"


def clear_problems(
    agreement: Agreement, event_type: EventType, schema: Any, place: Place
) -> Iterator[CatalogueProblem]:
    """What is released in clear without being named, and what is named without being released in clear."""
    named = agreement.personal_data_in_clear
    clear = {
        **{path: ("release", _deciding_path(path, agreement)) for path in _fields(agreement, event_type, schema)},
        **{f"envelope.{name}": ("envelope", name) for name in _attributes(agreement, event_type)},
    }
    for path, where in clear.items():
        if not any(paths.covers(entry, path) for entry in named):
            yield place.problem(where, "personal-in-clear", f"{path} is personal and released as it is: {_WHAT_TO_DO}")
    for index, entry in enumerate(named):
        if not any(paths.covers(entry, path) for path in clear):
            message = f"{entry} is no personal data that this agreement releases as it is"
            yield place.problem(("personal_data_in_clear", index), "personal-needless", message)


def _fields(agreement: Agreement, event_type: EventType, schema: Any) -> Iterator[str]:
    """The personal fields that are released as they are, the smallest that rules tell apart."""
    every = {field.path: field for field in paths.fields(schema)}
    for path, field in every.items():
        below = [other for other in every if other != path and paths.covers(path, other)]
        if not _is_personal(field, every, schema, event_type.personal_fields):
            continue
        if below:
            # Of a map of which anything is released, the keys are released as they are.
            if _is_map(field.type) and any(deciding_rule(other, agreement.release) for other in below):
                yield path
            continue
        rule = deciding_rule(path, agreement.release)
        if rule is not None and rule.name == "keep":
            yield path


def _is_personal(field: paths.Field, every: Mapping[str, paths.Field], schema: Any, personal: Sequence[str]) -> bool:
    if any(paths.covers(entry, field.path) for entry in personal):
        return True
    if isinstance(field.type, list) or "fields" not in field.type:
        return False
    # Where a record contains itself, paths end: what is personal in the outer one is personal in the inner one.
    if field.type is schema:
        return bool(personal)
    outer = [path for path, other in every.items() if other.type is field.type and path != field.path]
    return any(paths.covers(path, entry) for path in outer for entry in personal)


def _is_map(resolved: Any) -> bool:
    return isinstance(resolved, Mapping) and resolved["type"] == "map"


def _attributes(agreement: Agreement, event_type: EventType) -> Iterator[str]:
    """What of the envelope is released as it is, of events about persons."""
    if event_type.classification is Classification.PERSONAL:
        for name in dict.fromkeys((*ENVELOPE_ATTRIBUTES, *agreement.envelope)):
            rule = rule_for(name, agreement, event_type)
            if rule is not None and rule.name == "keep":
                yield name


def _deciding_path(path: str, agreement: Agreement) -> str:
    return max((rule for rule in agreement.release if paths.covers(rule, path)), key=len, default=path)
