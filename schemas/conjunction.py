"""What an agreement of another time and the one of today both release: for replays as of then. Pure.

A field or attribute is released if both release it by the same rule; an event is the consumer's if both say so, and
must meet what either requires. So never more is given than is allowed now, and never more than was allowed then.
"""

from collections.abc import Mapping
from typing import Final

from schemas.envelope_release import rule_for
from schemas.model import ENVELOPE_ATTRIBUTES, Agreement, EventType
from schemas.release_rules import Drop, Pseudonym
from schemas.released import deciding_rule
from schemas.rules import ReleaseRule

_DROP: Final = Drop()
_NEEDED: Final[Mapping[str, ReleaseRule]] = {"id": Pseudonym(), "source": Pseudonym()}  # CloudEvents requires them


def conjunction(then: Agreement, now: Agreement, event_type: EventType, fields: frozenset[str]) -> Agreement:
    """What both agreements give; ``fields`` are the paths that the event type has now.

    Pseudonyms are made as they are now.
    """
    whens = [agreement.when for agreement in (then, now) if agreement.when is not None]
    earlier = {f"{name} (then)": text for name, text in then.require.items() if now.require.get(name) != text}
    return now.model_copy(
        update={
            "when": " && ".join(f"({when})" for when in dict.fromkeys(whens)) or None,
            "require": {**now.require, **earlier},
            "release": {
                path: rule
                for path in dict.fromkeys((*then.release, *now.release))
                if path in fields
                for rule in [_both(deciding_rule(path, then.release), deciding_rule(path, now.release)) or _DROP]
            },
            "envelope": _envelope(then, now, event_type),
            "backfill": None,
        }
    )


def _both(then: ReleaseRule | None, now: ReleaseRule | None) -> ReleaseRule | None:
    return now if then == now else None


def _envelope(then: Agreement, now: Agreement, event_type: EventType) -> dict[str, ReleaseRule]:
    released = dict(now.envelope)
    for attribute in dict.fromkeys((*ENVELOPE_ATTRIBUTES, *then.envelope, *now.envelope)):
        if rule_for(attribute, then, event_type) != rule_for(attribute, now, event_type):
            released[attribute] = _NEEDED.get(attribute, _DROP)
    return released
