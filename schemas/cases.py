"""Cases of an agreement: an event in, and what the consumer must get. They lie beside it as ``<agreement>.cases.yaml``.

A case holds a text (``case``), an ``event`` as natural JSON, the moment of the decision (``at``, by default noon of the
agreement's first day in Jakarta) and what is expected: ``released``, ``filtered``, ``dead``, ``quarantined`` or
``not_in_force``. Pseudonyms are written ``pseudonym(<value>)``, so that cases do not depend on keys. This file reads
and compares; whoever runs cases decides with the lane's own code (``lintas agreement test``).
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AwareDatetime, ConfigDict, Field, ValidationError, model_validator

from schemas.envelope_release import id_pseudonym
from schemas.load import CASES_SUFFIX, Catalogue, CatalogueProblem
from schemas.model import JAKARTA, Agreement, Strict, Text
from schemas.rules import Pseudonymise

_PSEUDONYM = re.compile(r"pseudonym\((.*)\)", re.DOTALL)
_ABSENT: Final = object()
Kind = Literal["released", "filtered", "dead", "quarantined", "not_in_force"]
Attribute = Annotated[str, Field(strict=True)]


class CaseEvent(Strict):
    """The event of a case; what is not given is filled in by whoever runs it. More attributes are extensions."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Attribute]

    id: Attribute = "case"
    source: Attribute | None = Field(None, description="by default the event type's first publisher")
    subject: Attribute | None = Field(None, description="by default the payload's subject field; null: none")
    time: Attribute | None = Field(None, description="by default the moment of the decision; null: none")
    key: Attribute | None = Field(None, description="the Kafka key, by default the subject; null: none")
    data: Any

    @property
    def extensions(self) -> Mapping[str, str]:
        """The extension attributes."""
        return self.__pydantic_extra__


class Released(Strict):
    """What the consumer gets: the whole payload, and attributes of the envelope (``key`` too; null: absent)."""

    data: dict[str, Any]
    envelope: dict[str, Attribute | None] = Field(default_factory=dict)


class Expected(Strict):
    """What a case expects; exactly one of the fields, the last two written as their name alone."""

    released: Released | None = None
    dead: str | None = Field(None, description="the broken requirement, `when`, or the path that cannot be released")
    quarantined: str | None = Field(None, description="the rule that the event breaks")
    filtered: bool = False
    not_in_force: bool = False

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return {value: True} if value in ("filtered", "not_in_force") else value

    @model_validator(mode="after")
    def _exactly_one(self) -> "Expected":
        if len(self.model_fields_set) != 1:
            raise ValueError("expects exactly one of released, filtered, dead, quarantined, not_in_force")
        return self

    @property
    def kind(self) -> str:
        """The one that is expected."""
        return next(iter(self.model_fields_set))


class Case(Strict):
    """One case of an agreement."""

    case: Text
    event: CaseEvent
    at: AwareDatetime | None = None
    expect: Expected

    def moment(self, agreement: Agreement) -> dt.datetime:
        """The moment of the decision."""
        return self.at or dt.datetime.combine(agreement.valid.from_, dt.time(12), JAKARTA)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the bus did with the event of a case."""

    kind: Kind
    names: Sequence[str] = ()  # broken rules and their paths, if dead or quarantined
    data: Any = None  # natural JSON, if released
    envelope: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """YAML whose dates stay the texts that natural JSON has for them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_cases(catalogue: Catalogue, agreement: str) -> tuple[list[Case], list[CatalogueProblem]]:
    """The cases beside an agreement, and every problem of the file; no file means no cases."""
    file = Path("agreements") / f"{agreement}{CASES_SUFFIX}"
    try:
        text = (catalogue.folder / file).read_text()
        root, content = yaml.compose(text, Loader=_Loader), yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except FileNotFoundError:
        return [], []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "is not YAML"
        return [], [CatalogueProblem(file, mark.line + 1 if mark else 1, "yaml-syntax", reason)]
    if not isinstance(root, yaml.SequenceNode):
        return [], [CatalogueProblem(file, 1, "case", "must hold a list of cases")]
    cases, problems = [], []
    for node, item in zip(root.value, content, strict=True):
        try:
            cases.append(Case.model_validate(item))
        except ValidationError as error:
            line = node.start_mark.line + 1
            problems += [CatalogueProblem(file, line, "case", _reason(part)) for part in error.errors()]
    return cases, problems


def _reason(part: Mapping[str, Any]) -> str:
    where = ".".join(map(str, part["loc"]))
    return f"{where}: {part['msg'].removeprefix('Value error, ')}" if where else str(part["msg"])


def differences(case: Case, outcome: Outcome, pseudonymise: Pseudonymise) -> list[str]:
    """How the outcome differs from what the case expects, a line each; none if it is as expected."""
    expected = case.expect
    if outcome.kind != expected.kind:
        found = f"{outcome.kind} ({', '.join(outcome.names)})" if outcome.names else outcome.kind
        return [f"expected {expected.kind}, found {found}"]
    if (name := expected.dead or expected.quarantined) is not None:
        return [] if name in outcome.names else [f"expected {name}, found {', '.join(outcome.names)}"]
    if expected.released is None:
        return []
    readable = _readable(case.event, pseudonymise)
    return [
        *_compare(_keyed(expected.released.data, pseudonymise), outcome.data, "data", readable),
        *_compare_envelope(expected.released.envelope, outcome.envelope, pseudonymise, readable),
    ]


def _compare_envelope(
    expected: Mapping[str, str | None],
    found: Mapping[str, str],
    pseudonymise: Pseudonymise,
    readable: Mapping[str, str],
) -> Iterator[str]:
    for attribute, text in expected.items():
        meant = _keyed(text, pseudonymise)
        if attribute == "id" and text is not None and (match := _PSEUDONYM.fullmatch(text)):
            meant = id_pseudonym(match[1], pseudonymise)
        path = f"envelope.{attribute}"
        yield from _compare(_ABSENT if meant is None else meant, found.get(attribute, _ABSENT), path, readable)


def _compare(expected: Any, found: Any, path: str, readable: Mapping[str, str]) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in dict.fromkeys([*expected, *found]):
            yield from _compare(expected.get(name, _ABSENT), found.get(name, _ABSENT), f"{path}.{name}", readable)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _compare(one, other, f"{path}[{index}]", readable)
    elif found is _ABSENT and expected is not _ABSENT:
        yield f"{path}: expected {_shown(expected, readable)}, not released"
    elif expected is _ABSENT and found is not _ABSENT:
        yield f"{path}: expected nothing, released {_shown(found, readable)}"
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        yield f"{path}: expected {_shown(expected, readable)}, released {_shown(found, readable)}"


def _keyed(expected: Any, pseudonymise: Pseudonymise) -> Any:
    """What is expected, with the pseudonyms that it names."""
    if isinstance(expected, dict):
        return {name: _keyed(value, pseudonymise) for name, value in expected.items()}
    if isinstance(expected, list):
        return [_keyed(item, pseudonymise) for item in expected]
    match = _PSEUDONYM.fullmatch(expected) if isinstance(expected, str) else None
    return pseudonymise(match[1].encode()) if match else expected


def _readable(event: CaseEvent, pseudonymise: Pseudonymise) -> dict[str, str]:
    """The pseudonym of every value of the event, as cases write it."""
    values = {str(value) for value in _leaves(event.model_dump())}
    readable = {pseudonymise(value.encode()): f"pseudonym({value})" for value in values}
    return readable | {id_pseudonym(event.id, pseudonymise): f"pseudonym({event.id})"}


def _leaves(value: Any) -> Iterator[str | int]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str | int):
        yield value


def _shown(value: Any, readable: Mapping[str, str]) -> str:
    return readable.get(value, repr(value)) if isinstance(value, str) else repr(value)
