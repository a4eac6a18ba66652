"""A FHIR R4 transaction Bundle: read strictly, with references between its entries (hl7.org/fhir/R4/bundle.html)."""

import dataclasses
import decimal
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lintas_client import Problem

from connectors.intake.message import MalformedMessage

MAX_BYTES: Final = 8 * 1024 * 1024
_MOST_ENTRIES: Final = 2_000
_MAX_DEPTH: Final = 40
_METHODS: Final = ("POST", "PUT")
# What FHIR calls its elements; names are told in paths, so no others go further.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
# A literal reference (hl7.org/fhir/R4/references.html): a type and a number, wherever they are, of whatever version.
_LITERAL: Final = re.compile(r"(?:[^?#]*/)?([A-Z][A-Za-z]*)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]*)?", re.ASCII)
# SATUSEHAT's number of a patient: P and eleven digits.
_PATIENT: Final = re.compile(r"P\d{11}", re.ASCII)
_PATIENT_SYSTEMS: Final = (
    "https://fhir.kemkes.go.id/id/ihs-number",
    "https://fhir.kemkes.go.id/id/patient-ihs-number",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """An entry: its place in the bundle, and its resource, which a representation does not show."""

    index: int
    full_url: str | None = dataclasses.field(repr=False)
    resource: Mapping[str, Any] = dataclasses.field(repr=False)
    is_update: bool  # else it is created, and gets its number then (hl7.org/fhir/R4/http.html#create)

    @property
    def kind(self) -> str:
        """Its resource's type."""
        return str(self.resource["resourceType"])


class Bundle:
    """The entries of a bundle, and what refers to what."""

    def __init__(self, entries: list[Entry]) -> None:
        """``entries`` have been checked."""
        self.entries = entries
        self._by_reference: dict[str, Entry] = {}
        for entry in entries:
            if entry.full_url is not None:
                self._by_reference[entry.full_url] = entry
            if isinstance(own := entry.resource.get("id"), str):
                self._by_reference.setdefault(f"{entry.kind}/{own}", entry)

    def resolve(self, reference: str) -> Mapping[str, Any] | None:
        """The resource of an entry that a reference names (its fullUrl, or Type/id); None if it is not here."""
        found = self._by_reference.get(reference)
        return None if found is None else found.resource

    def number(self, reference: str) -> str | None:
        """The number that a reference names; None if it names none, or leads to what has none before it is created."""
        found = self._by_reference.get(reference)
        if found is not None and found.is_update and isinstance(own := found.resource.get("id"), str):
            return own
        named = literal(reference)
        return None if named is None else named[1]


def literal(reference: str) -> tuple[str, str] | None:
    """The type and number that a reference names; None for a search, or what is within its own resource."""
    found = _LITERAL.fullmatch(reference)
    return None if found is None else (found[1], found[2])


def read(message: bytes) -> Bundle:
    """The bundle of a message.

    Raises:
        MalformedMessage: with every problem: where (``entry[2].resource.subject``), the rule, and why; no values.
    """
    content = _json(message)
    if not isinstance(content, dict) or content.get("resourceType") != "Bundle":
        raise MalformedMessage([Problem("", "not-a-bundle", "must be a FHIR resource of type Bundle")])
    problems: list[Problem] = []
    if content.get("type") != "transaction":
        problems.append(Problem("type", "type", "must be transaction"))
    found = content.get("entry")
    if not isinstance(found, list) or not 0 < len(found) <= _MOST_ENTRIES:
        problems.append(Problem("entry", "entry", f"must be a list of 1 to {_MOST_ENTRIES} entries"))
        raise MalformedMessage(problems)
    entries = []
    seen: dict[str, int] = {}
    for index, item in enumerate(found):
        faults = list(_faults(item, index, seen))
        problems += faults
        if not faults:
            is_update = item["request"]["method"] == "PUT"
            entries.append(Entry(index, item.get("fullUrl"), item["resource"], is_update))
    bundle = Bundle(entries)
    if not problems:
        for entry in entries:
            problems += _dangling(entry, bundle)
            problems += _wrong_numbers(entry)
    if problems:
        raise MalformedMessage(problems)
    return bundle


def _json(message: bytes) -> Any:
    if len(message) > MAX_BYTES:
        raise MalformedMessage([Problem("", "size", f"is larger than {MAX_BYTES} bytes")])
    try:
        content = json.loads(
            message.decode(), object_pairs_hook=_object, parse_float=decimal.Decimal, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise MalformedMessage([Problem("", "utf-8", "is not UTF-8")]) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedMessage([Problem("", "json", f"is not JSON: {where}")]) from None
    except _BadName as error:
        raise MalformedMessage([Problem("", "json", str(error))]) from None
    except RecursionError:
        raise MalformedMessage([_too_deep()]) from None
    except ValueError:  # NaN, or a number of thousands of digits
        raise MalformedMessage([Problem("", "json", "has a number that JSON does not know")]) from None
    if _depth(content) > _MAX_DEPTH:
        raise MalformedMessage([_too_deep()])
    return content


class _BadName(ValueError):
    """An object's names are not what FHIR's are."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):  # readers differ about which one counts
        raise _BadName("has an object with the same name twice")
    if not all(map(_NAME.fullmatch, made)):
        raise _BadName("has an object with a name that no element of FHIR has")
    return made


def _no_constant(_name: str) -> Any:
    raise ValueError


def _too_deep() -> Problem:
    return Problem("", "depth", f"is nested more than {_MAX_DEPTH} levels deep")


def _depth(content: Any) -> int:
    deepest, open_now = 0, [(content, 1)]
    while open_now:
        value, depth = open_now.pop()
        deepest = max(deepest, depth)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        open_now += [(item, depth + 1) for item in inside]
    return deepest


def _faults(item: Any, index: int, seen: dict[str, int]) -> Iterator[Problem]:
    path = f"entry[{index}]"
    if not isinstance(item, dict):
        yield Problem(path, "entry", "must be an object")
        return
    resource = item.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        yield Problem(f"{path}.resource", "resource", "must be a resource with its resourceType")
    request = item.get("request")
    if not isinstance(request, dict) or request.get("method") not in _METHODS:
        yield Problem(f"{path}.request.method", "method", f"must be {' or '.join(_METHODS)}")
    full_url = item.get("fullUrl")
    if full_url is None:
        return
    if not isinstance(full_url, str) or not full_url:
        yield Problem(f"{path}.fullUrl", "full-url", "must be a text")
    elif full_url in seen:
        yield Problem(f"{path}.fullUrl", "full-url", f"is that of entry[{seen[full_url]}] too")
    else:
        seen[full_url] = index


def _dangling(entry: Entry, bundle: Bundle) -> Iterator[Problem]:
    for path, reference in _texts(entry.resource, "reference", f"entry[{entry.index}].resource"):
        if reference.startswith("urn:") and bundle.resolve(reference) is None:
            yield Problem(path, "reference", "refers to an entry that is not in the bundle")
        kind, number = literal(reference) or ("", "")
        if kind == "Patient" and not _PATIENT.fullmatch(number):
            yield Problem(path, "ihs-number", "must be the IHS number of a patient: P and eleven digits")


def _wrong_numbers(entry: Entry) -> Iterator[Problem]:
    if entry.kind != "Patient":
        return
    numbers = {"id": entry.resource.get("id")} if entry.is_update else {}
    identifiers = entry.resource.get("identifier")
    for at, one in enumerate(identifiers if isinstance(identifiers, list) else ()):
        if isinstance(one, dict) and one.get("system") in _PATIENT_SYSTEMS:
            numbers[f"identifier[{at}].value"] = one.get("value")
    for path, number in numbers.items():
        if not isinstance(number, str) or not _PATIENT.fullmatch(number):
            place = f"entry[{entry.index}].resource.{path}"
            yield Problem(place, "ihs-number", "must be the IHS number of a patient: P and eleven digits")


def _texts(value: Any, name: str, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a name in a resource, with its path."""
    if isinstance(value, Mapping):
        for own, inside in value.items():
            if own == name and isinstance(inside, str):
                yield f"{path}.{own}", inside
            else:
                yield from _texts(inside, name, f"{path}.{own}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts(item, name, f"{path}[{at}]")
