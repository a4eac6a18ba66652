"""Events as people of the bus may see them: personal fields masked, unless somebody has said why they must be seen."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lintas.settings import Settings
from schemas.model import EventType
from schemas.pseudonyms import PseudonymKeys
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

    def __call__(self, record: InputRecord, *, clear: bool = False) -> dict[str, Any] | None:
        """Attributes and data of an event as JSON values, masked unless ``clear``; None if it cannot be read."""
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
        return shown(published.contract, event.envelope.attributes, data, clear=clear)


def shown(contract: EventType, attributes: Mapping[str, str], data: Any, *, clear: bool = False) -> dict[str, Any]:
    """Attributes and data of an event of this type, or of what an agreement released of it.

    Args:
        contract: of the event type: it names the personal fields.
        attributes: of the envelope.
        data: the payload as JSON values, a record.
        clear: mask nothing.
    """
    if clear:
        return {"attributes": dict(attributes), "data": data}
    return {
        "attributes": {
            name: value if name in _TELLS_NOBODY or not contract.personal_fields else MASKED
            for name, value in attributes.items()
        },
        "data": {name: _masked(contract, value, [name]) for name, value in data.items()},
    }


def _masked(contract: EventType, value: Any, paths: Sequence[str]) -> Any:
    """``paths``: of a record's field, and of a map's value, since the two look alike."""
    if any(contract.is_personal(path) for path in paths):
        return None if value is None else MASKED
    if isinstance(value, dict):
        return {
            name: _masked(contract, one, [below for path in paths for below in (f"{path}.{name}", f"{path}{{}}")])
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_masked(contract, one, [f"{path}[]" for path in paths]) for one in value]
    return value
