"""An event as operators may see it: its personal fields masked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lintas.settings import Settings

if TYPE_CHECKING:
    from schemas.snapshot import Snapshot
    from streams.records import InputRecord

MASKED: Final = "***"
_TELLS_NOBODY: Final = (
    "specversion",
    "type",
    "time",
    "datacontenttype",
)  # the rest of an envelope may tell of a person


def masked(settings: Settings, snapshot: "Snapshot", record: "InputRecord") -> dict[str, Any] | None:
    """Attributes and data of an event, its personal fields masked; None if it cannot be read."""
    from lintas.cli.catalogue_folder import is_personal
    from schemas.pseudonyms import PseudonymKeys
    from schemas.wire import json_data
    from schemas.wire.codec import Codec
    from schemas.wire.errors import MalformedEvent
    from streams.crashes import problem_of
    from streams.decide import EventTypePlan

    published = next((one for one in snapshot.event_types.values() if one.topic == record.topic), None)
    if published is None:
        return None
    plan = EventTypePlan(snapshot, published, PseudonymKeys.load(settings.secrets / "pseudonym-keys"))
    try:
        event = plan.read(record)
    except MalformedEvent:
        return None
    except Exception as error:  # noqa: BLE001  it may be in quarantine for just that
        problem_of(error)
        return None
    contract = published.contract

    def mask(value: Any, paths: Sequence[str]) -> Any:
        """``paths``: of a record's field, and of a map's value, since the two look alike."""
        if any(is_personal(contract, path) for path in paths):
            return None if value is None else MASKED
        if isinstance(value, dict):
            return {
                name: mask(one, [below for path in paths for below in _below(path, name)])
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [mask(one, [f"{path}[]" for path in paths]) for one in value]
        return value

    attributes = {
        name: value if name in _TELLS_NOBODY or not contract.personal_fields else MASKED
        for name, value in event.envelope.attributes.items()
    }
    data = json_data.to_json(Codec(published.current.schema), event.data)
    return {"attributes": attributes, "data": {name: mask(value, [name]) for name, value in data.items()}}


def _below(path: str, name: str) -> tuple[str, str]:
    return f"{path}.{name}", f"{path}{{}}"
