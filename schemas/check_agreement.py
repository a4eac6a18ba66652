"""What can be wrong with an agreement, alone and against the event type that it is about."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from lintas import names
from schemas.check_clear import clear_problems
from schemas.check_event_type import systems_of
from schemas.conditions import Condition, ConditionError
from schemas.envelope_release import envelope_problems
from schemas.load import Catalogue, CatalogueProblem, Place
from schemas.model import Agreement
from schemas.released import ReleaseProblems, released_schema
from schemas.suggestions import did_you_mean


def agreement_problems(
    catalogue: Catalogue, agreement: Agreement, schema: Any, today: dt.date
) -> Iterator[CatalogueProblem]:
    """Every problem of one agreement; ``schema`` is that of its event type, None if there is none to be used."""
    place = catalogue.place("agreement", agreement.agreement)
    if names.is_bus_name(agreement.agreement):
        message = f"{agreement.agreement} begins as the bus's own do: choose another name"
        yield place.problem(("agreement",), "reserved-name", message)
    yield from _parties(catalogue, agreement, place)
    yield from _validity(agreement, place, today)
    for attribute, message in envelope_problems(agreement):
        yield place.problem(("envelope", attribute), "envelope", f"{attribute} {message}")
    event_type = catalogue.event_types.get(agreement.event_type)
    if names.is_bus_name(agreement.event_type):
        message = f"{agreement.event_type} is the bus's own: no system of an agency may receive it"
        yield place.problem(("event_type",), "bus-event-type", message)
    elif event_type is None:
        if not catalogue.is_unread("event-type", agreement.event_type):
            message = f"there is no event type {agreement.event_type}"
            hint = did_you_mean(agreement.event_type, catalogue.event_types)
            yield place.problem(("event_type",), "unknown-event-type", message + hint)
    elif schema is not None:
        yield from _conditions(agreement, schema, place)
        yield from _release(agreement, schema, place)
        yield from clear_problems(agreement, event_type, schema, place)


def _parties(catalogue: Catalogue, agreement: Agreement, place: Place) -> Iterator[CatalogueProblem]:
    event_type = catalogue.event_types.get(agreement.event_type)
    if agreement.provider not in catalogue.agencies:
        if not catalogue.is_unread("agency", agreement.provider):
            message = f"there is no agency {agreement.provider}{did_you_mean(agreement.provider, catalogue.agencies)}"
            yield place.problem(("provider",), "unknown-agency", message)
    elif event_type is not None and event_type.owner != agreement.provider:
        message = f"{event_type.event_type} belongs to {event_type.owner}"
        yield place.problem(("provider",), "foreign-provider", message)
    systems = systems_of(catalogue)
    if agreement.consumer not in systems and not catalogue.is_unread("agency", agreement.consumer.partition(".")[0]):
        message = f"there is no system {agreement.consumer}{did_you_mean(agreement.consumer, systems)}"
        yield place.problem(("consumer",), "unknown-system", message)


def _validity(agreement: Agreement, place: Place, today: dt.date) -> Iterator[CatalogueProblem]:
    begin, end = agreement.valid.from_, agreement.valid.until
    if end < begin:
        yield place.problem(("valid", "until"), "validity", f"ends on {end}, before it begins on {begin}")
    elif end < today:
        yield place.problem(("valid", "until"), "expired", f"ended on {end}: renew it or take it out")


def _conditions(agreement: Agreement, schema: Any, place: Place) -> Iterator[CatalogueProblem]:
    written: list[tuple[tuple[str, ...], str]] = [
        (("require", name), expression) for name, expression in agreement.require.items()
    ]
    if agreement.when is not None:
        written.append((("when",), agreement.when))
    for path, expression in written:
        try:
            Condition(expression, schema)
        except ConditionError as error:
            line = f"line {error.line}, " if "\n" in expression.strip() else ""
            message = f"{'.'.join(path)}, {line}column {error.column}: {error.message}"
            yield place.problem(path, "condition", message)


def _release(agreement: Agreement, schema: Any, place: Place) -> Iterator[CatalogueProblem]:
    try:
        released_schema(schema, agreement.release, name="Released", namespace="lintas")
    except ReleaseProblems as error:
        for path, message in error.problems:
            yield place.problem(("release", path), "release", f"{path}: {message}" if path else message)
