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


def conjunction(
    then: tuple[Agreement, EventType], now: tuple[Agreement, EventType], fields: frozenset[str]
) -> Agreement:
    """What both agreements give, each with its event type; ``fields`` are the paths that the event type has now.

    Pseudonyms are made as they are now.
    """
    (earlier, _), (present, _) = then, now
    whens = [agreement.when for agreement in (earlier, present) if agreement.when is not None]
    required = {f"{name} (then)": text for name, text in earlier.require.items() if present.require.get(name) != text}
    return present.model_copy(
        update={
            "when": " && ".join(f"({when})" for when in dict.fromkeys(whens)) or None,
            "require": {**present.require, **required},
            "release": {
                path: rule
                for path in dict.fromkeys((*earlier.release, *present.release))
                if path in fields
                for rule in [_both(deciding_rule(path, earlier.release), deciding_rule(path, present.release)) or _DROP]
            },
            "envelope": _envelope(then, now),
            "backfill": None,
        }
    )


def _both(then: ReleaseRule | None, now: ReleaseRule | None) -> ReleaseRule | None:
    return now if then == now else None


def _envelope(then: tuple[Agreement, EventType], now: tuple[Agreement, EventType]) -> dict[str, ReleaseRule]:
    released = dict(now[0].envelope)
    for attribute in dict.fromkeys((*ENVELOPE_ATTRIBUTES, *then[0].envelope, *now[0].envelope)):
        if rule_for(attribute, *then) != rule_for(attribute, *now):
            released[attribute] = _NEEDED.get(attribute, _DROP)
    return released
