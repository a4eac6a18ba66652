"""Names in settings that a catalogue must have: event types and agreements, held to it where one is at hand.

A setting of these types is checked by ``model_validate(settings, context=Entitled)``; without a context any name is
right, as it is for a runtime, which has no catalogue.
"""

import dataclasses
from collections.abc import Set as AbstractSet
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from schemas.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True, slots=True)
class Entitled:
    """What a catalogue gives a connector's system.

    Attributes:
        event_types: all that the catalogue has.
        entitled: those that the system publishes, for a source; those that an agreement gives it, for a sink.
        agreements: those that give the system something.
        otherwise: what is told of an event type that is not among ``entitled``: ``no agreement gives a.b``.
    """

    event_types: AbstractSet[str]
    entitled: AbstractSet[str]
    agreements: AbstractSet[str]
    otherwise: str


def _event_type(name: str, info: ValidationInfo) -> str:
    known = info.context
    if isinstance(known, Entitled):
        if name not in known.event_types:
            raise ValueError(f"there is no event type {name}{did_you_mean(name, known.event_types)}")
        if name not in known.entitled:
            raise ValueError(f"{known.otherwise} {name}")
    return name


def _agreement(name: str, info: ValidationInfo) -> str:
    known = info.context
    if isinstance(known, Entitled) and name not in known.agreements:
        raise ValueError(f"no agreement {name} gives its system anything{did_you_mean(name, known.agreements)}")
    return name


EventTypeSetting = Annotated[str, AfterValidator(_event_type)]
AgreementSetting = Annotated[str, AfterValidator(_agreement)]
