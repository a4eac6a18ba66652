"""Events as people of the bus may see them: personal fields masked, unless somebody has said why they must be seen."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lintas.settings import Settings
from schemas.conditions import Condition
from schemas.model import EventType
from schemas.paths import covers
from schemas.pseudonyms import PseudonymKeys
from schemas.released import deciding_rule
from schemas.rules import ReleaseRule
from schemas.snapshot import Snapshot
from schemas.wire import json_data
from schemas.wire.codec import Codec
from schemas.wire.errors import MalformedEvent
from streams.crashes import problem_of
from streams.decide import EventTypePlan
from streams.records import InputRecord

MASKED: Final = "***"
_TELLS_NOBODY: Final = (  # the rest of an envelope may tell of a person
    "specversion",
    "type",
    "time",
    "datacontenttype",
    "agreement",
    "channel",
    "replay",
)


class EventViewer:
    """Shows records of event topics; compiles an event type when its first record comes."""

    def __init__(self, settings: Settings, snapshot: Snapshot) -> None:
        """``snapshot``: the catalogue that events are read with."""
        self._settings, self._snapshot = settings, snapshot
        self._plans: dict[str, EventTypePlan] = {}
        self._by_topic = {published.topic: published for published in snapshot.event_types.values()}

    def __call__(
        self, record: InputRecord, *, release: Mapping[str, ReleaseRule] | None = None, clear: bool = False
    ) -> dict[str, Any] | None:
        """Attributes and data of an event as JSON values, as ``Sight`` has them; None if it cannot be read."""
        published = self._by_topic.get(record.topic)
        if published is None:
            return None
        if record.topic not in self._plans:
            keys = PseudonymKeys.load(self._settings.secrets / "pseudonym-keys")
            self._plans[record.topic] = EventTypePlan(self._snapshot, published, keys)
        try:
            event = self._plans[record.topic].read(record)
        except MalformedEvent:
            return None
        except Exception as error:  # noqa: BLE001  it may be in quarantine for just that
            problem_of(error)
            return None
        data = json_data.to_json(Codec(published.current.schema), event.data)
        return Sight(published.contract, release, clear).of(event.envelope.attributes, data)


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """How much of the events of one type somebody may see.

    Attributes:
        contract: of the event type; it names the personal fields. None: it is not known, so all is masked.
        release: of an agreement, for whoever may see no more than it keeps; None: whatever is not personal.
        clear: nothing is masked.
    """

    contract: EventType | None
    release: Mapping[str, ReleaseRule] | None = None
    clear: bool = False

    def of(self, attributes: Mapping[str, str], data: Any) -> dict[str, Any]:
        """Attributes and data (JSON values, a record) as they may be seen."""
        return {
            "attributes": {name: MASKED if self.hides_attribute(name) else value for name, value in attributes.items()},
            "data": data if self.clear else {name: self._masked(value, [name]) for name, value in data.items()},
        }

    def hides_attribute(self, name: str) -> bool:
        """Whether an attribute of the envelope is masked."""
        if self.clear or name in _TELLS_NOBODY:
            return False
        return self.contract is None or self.release is not None or bool(self.contract.personal_fields)

    def objection(self, condition: Condition) -> str:
        """A name in a condition whose value is masked here, so that the condition would tell it; empty if none is."""
        for scope, *steps in condition.names:
            path = ".".join(steps)
            if self.hides_attribute(path) if scope == "event" else self._hides_any_of(path):
                return f"{scope}.{path}"
        return ""

    def _hides_any_of(self, path: str) -> bool:
        """Whether anything of a field, which may hold others, is masked."""
        if self.clear:
            return False
        if self.contract is None or self.contract.is_personal(path):
            return True
        if any(covers(path, personal) for personal in self.contract.personal_fields):
            return True
        if self.release is None:
            return False
        below = [rule for other, rule in self.release.items() if covers(path, other)]
        return not _kept(deciding_rule(path, self.release)) or not all(map(_kept, below))

    def _masked(self, value: Any, paths: Sequence[str]) -> Any:
        """``paths``: of a record's field, and of a map's value, since the two look alike."""
        if self.contract is None or any(map(self.contract.is_personal, paths)):
            return None if value is None else MASKED
        if value and isinstance(value, dict):
            return {
                name: self._masked(one, [below for path in paths for below in (f"{path}.{name}", f"{path}{{}}")])
                for name, one in value.items()
            }
        if value and isinstance(value, list):
            return [self._masked(one, [f"{path}[]" for path in paths]) for one in value]
        if self.release is not None and not any(_kept(deciding_rule(path, self.release)) for path in paths):
            return MASKED
        return value


def _kept(rule: ReleaseRule | None) -> bool:
    return rule is not None and rule.name == "keep"
