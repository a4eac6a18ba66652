"""What an agreement releases of an envelope, by an allow-list.

For event types about persons, id, subject and key become pseudonyms, the time becomes its day in UTC, the source is
named without its path, and extension attributes are left out: by any of these, two consumers could find out that they
were told of the same person. An agreement may release more (``envelope`` in its file). Which trace a delivery belongs
to is not for agreements to say (``carries_trace_on``).
"""

import re
from collections.abc import Mapping
from typing import Final

from lintas import names
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, Classification, EventType
from schemas.release_rules import Drop, Generalise, Keep, Pseudonym
from schemas.released import deciding_rule
from schemas.rules import CannotRelease, Pseudonymise, ReleaseRule
from schemas.wire.moments import moment

# Made by the bus for every delivery.
OURS: Final = (
    "specversion",
    "type",
    "datacontenttype",
    "dataschema",
    "agreement",
    "channel",
    "replay",
    "traceparent",
)
_FIRST: Final = ("source", "id", "subject", "time")  # in this order, then what else is released
_KEEP, _DROP, _PSEUDONYM, _DAY = Keep(), Drop(), Pseudonym(), Generalise(to="day", band=None)
_PERSONAL: Final[Mapping[str, ReleaseRule]] = {
    "id": _PSEUDONYM,
    "subject": _PSEUDONYM,
    "key": _PSEUDONYM,
    "time": _DAY,
}
_NAME = re.compile(r"[a-z0-9]+")
# The rules that leave an attribute what CloudEvents says it is: an id unique, a source a URI reference, a time a time.
_FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("keep", "pseudonym"),
    "source": ("keep", "pseudonym"),
    "time": ("keep", "drop", "generalise"),
}
_OTHERS: Final = ("keep", "drop", "mask", "pseudonym")
_ID_LABEL: Final = b"\xffid\xff"  # no text in UTF-8 has this byte: an id's pseudonym never equals that of a field
_FIRST_MOMENT: Final = "0000-01-01T00:00:00Z"


def rule_for(attribute: str, agreement: Agreement, event_type: EventType) -> ReleaseRule | None:
    """The rule of one attribute (or ``key``); None where the source of an event about persons is named without path.

    Subject and key repeat a field of the payload (``subject`` of the event type): where that field is not released as
    it is, neither are they.
    """
    if attribute in agreement.envelope:
        return agreement.envelope[attribute]
    if attribute not in ENVELOPE_ATTRIBUTES:
        return _DROP
    if event_type.classification is Classification.PERSONAL:
        return _PERSONAL.get(attribute)
    if attribute in ("subject", "key") and event_type.subject is not None:
        field = deciding_rule(event_type.subject, agreement.release)
        return _KEEP if field is not None and field.name == "keep" else _PSEUDONYM
    return _KEEP


def carries_trace_on(event_type: EventType) -> bool:
    """Whether deliveries go on with the publisher's trace; of events about persons each begins its own."""
    return event_type.classification is not Classification.PERSONAL


def envelope_problems(agreement: Agreement) -> list[tuple[str, str]]:
    """What is wrong with an agreement's envelope rules, as (attribute, message)."""
    problems = []
    for attribute, rule in agreement.envelope.items():
        fitting = _FITTING.get(attribute, _OTHERS)
        if attribute in OURS:
            problems.append((attribute, "is set by the bus for every delivery"))
        elif not _NAME.fullmatch(attribute) or attribute == "data":
            problems.append((attribute, "is no attribute: names have lower-case letters and digits only"))
        elif rule.name not in fitting or (isinstance(rule, Generalise) and rule.to not in ("year", "month", "day")):
            how = "keep, drop, or generalise to year, month or day" if attribute == "time" else ", ".join(fitting)
            why = "; CloudEvents requires it" if rule.name == "drop" else ""
            problems.append((attribute, f"cannot be released by {rule.name}{why} (possible: {how})"))
    return problems


def released_envelope(
    attributes: Mapping[str, str],
    key: bytes | None,
    *,
    agreement: Agreement,
    event_type: EventType,
    publisher: str,
    channel: str,
    pseudonymise: Pseudonymise,
) -> tuple[dict[str, str], bytes | None]:
    """The attributes of a delivery in their order, and its Kafka key.

    Args:
        attributes: of the event as published.
        key: of the event as published.
        agreement: under which it is delivered, without ``envelope_problems``.
        event_type: of the event.
        publisher: the system that published it.
        channel: G2G, G2B ...
        pseudonymise: makes this consumer's pseudonyms.

    Raises:
        CannotRelease: an attribute cannot be released under its rule.
    """
    released = {
        "specversion": attributes["specversion"],
        "type": attributes["type"],
        "datacontenttype": "application/avro",
        "agreement": agreement.agreement,
        "channel": channel,
    }
    for attribute in (*_FIRST, *attributes):
        if attribute not in attributes or attribute in OURS or attribute in released:
            continue
        value = attributes[attribute]
        rule = rule_for(attribute, agreement, event_type)
        if rule is None:
            released[attribute] = names.source_of(publisher)
        elif rule.name != "drop":
            released[attribute] = released_attribute(attribute, rule, value, pseudonymise)
    return released, _released_key(key, rule_for("key", agreement, event_type), pseudonymise)


def id_pseudonym(event_id: str, pseudonymise: Pseudonymise) -> str:
    """The pseudonym of an event's id, which is never that of a field with the same value."""
    return pseudonymise(_ID_LABEL + event_id.encode())


def released_attribute(attribute: str, rule: ReleaseRule, value: str, pseudonymise: Pseudonymise) -> str:
    """What a rule other than ``drop`` releases of one attribute.

    Raises:
        CannotRelease: nothing.
    """
    if attribute == "id" and rule.name == "pseudonym":
        return id_pseudonym(value, pseudonymise)
    try:
        if rule.name == "generalise":
            coarse: str = rule.released(moment(value), pseudonymise)
            return coarse + _FIRST_MOMENT[len(coarse) :]  # still a moment, as CloudEvents requires: its first
        return str(rule.released(value, pseudonymise))
    except ValueError as error:  # CannotRelease, or a time outside the years that there are
        raise CannotRelease(str(error), f"envelope.{attribute}") from None


def _released_key(key: bytes | None, rule: ReleaseRule | None, pseudonymise: Pseudonymise) -> bytes | None:
    if key is None or rule is None or rule.name == "drop":
        return None
    if rule.name == "keep":
        return key
    if rule.name == "pseudonym":
        return pseudonymise(key).encode()
    try:
        return str(rule.released(key.decode(), pseudonymise)).encode()
    except UnicodeDecodeError:
        raise CannotRelease("the key is not UTF-8", "envelope.key") from None
