"""What an agreement releases of an envelope, by an allow-list.

For event types about persons, id, subject and key become pseudonyms, the time becomes its day, the source is named
without its path, and extension attributes (trace headers among them) are left out: by any of these, two consumers could
find out that they were told of the same person. An agreement may release more (``envelope`` in its file).
"""

from collections.abc import Mapping
from typing import Final

from lintas import names
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, Classification
from schemas.release_rules import Drop, Keep, Pseudonym
from schemas.rules import CannotRelease, Pseudonymise, ReleaseRule

# Made by the bus for every delivery.
OURS: Final = ("specversion", "type", "datacontenttype", "dataschema", "agreement", "channel")
_KEEP, _DROP, _PSEUDONYM = Keep(), Drop(), Pseudonym()
_PERSONAL: Final[Mapping[str, ReleaseRule]] = {"id": _PSEUDONYM, "subject": _PSEUDONYM, "key": _PSEUDONYM}
_ID_LABEL: Final = b"ce_id\0"  # an id's pseudonym never equals that of a field


def rule_for(attribute: str, agreement: Agreement, classification: Classification) -> ReleaseRule | None:
    """The rule of one attribute; None stands for what the bus does with time and source of personal events."""
    if attribute in agreement.envelope:
        return agreement.envelope[attribute]
    if attribute not in ENVELOPE_ATTRIBUTES:
        return _DROP
    if classification is not Classification.PERSONAL:
        return _KEEP
    return _PERSONAL.get(attribute)


def envelope_problems(agreement: Agreement) -> list[tuple[str, str]]:
    """What is wrong with an agreement's envelope rules, as (attribute, message)."""
    problems = []
    for attribute, rule in agreement.envelope.items():
        if attribute in OURS:
            problems.append((attribute, "is set by the bus for every delivery"))
        elif attribute not in ENVELOPE_ATTRIBUTES and not (
            attribute.isascii() and attribute.isalnum() and attribute.islower()
        ):
            problems.append((attribute, "is no attribute: names have lower-case letters and digits only"))
        elif attribute in ("id", "source") and rule.name == "drop":
            problems.append((attribute, "cannot be dropped: CloudEvents requires it"))
        elif rule.name == "generalise" and attribute != "time":
            problems.append((attribute, "can be generalised only if it is the time"))
    return problems


def released_envelope(
    attributes: Mapping[str, str],
    key: bytes | None,
    *,
    agreement: Agreement,
    classification: Classification,
    publisher: str,
    channel: str,
    pseudonymise: Pseudonymise,
) -> tuple[dict[str, str], bytes | None]:
    """The attributes and the Kafka key of a delivery.

    Args:
        attributes: of the event as published.
        key: of the event as published.
        agreement: under which it is delivered.
        classification: of the event type.
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
    for attribute, value in attributes.items():
        if attribute in OURS:
            continue
        rule = rule_for(attribute, agreement, classification)
        if rule is None:
            released[attribute] = (
                names.source_of(publisher) if attribute == "source" else f"{value[:10]}T00:00:00Z"
            )
        elif rule.name != "drop":
            released[attribute] = _apply(attribute, rule, value, pseudonymise)
    return released, _released_key(key, rule_for("key", agreement, classification), pseudonymise)


def _apply(attribute: str, rule: ReleaseRule, value: str, pseudonymise: Pseudonymise) -> str:
    if attribute == "id" and rule.name == "pseudonym":
        return pseudonymise(_ID_LABEL + value.encode())
    coarse = str(rule.released(value, pseudonymise))
    if rule.name == "generalise":  # still a moment, as CloudEvents requires: its first
        return coarse + "0000-01-01T00:00:00Z"[len(coarse) :]
    return coarse


def _released_key(key: bytes | None, rule: ReleaseRule | None, pseudonymise: Pseudonymise) -> bytes | None:
    if key is None or rule is None or rule.name == "keep":
        return key
    if rule.name == "drop":
        return None
    if rule.name == "pseudonym":
        return pseudonymise(key).encode()
    try:
        return str(rule.released(key.decode(), pseudonymise)).encode()
    except UnicodeDecodeError:
        raise CannotRelease("key: is not UTF-8") from None
