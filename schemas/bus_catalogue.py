"""What every catalogue holds besides what stewards write: the bus's own agency with its canary (``schemas/bus``)."""

import dataclasses
import functools
from pathlib import Path
from typing import Final

from schemas.load import Catalogue, load

FOLDER: Final = Path(__file__).parent / "bus"


@functools.cache
def bus_catalogue() -> Catalogue:
    """The bus's own part."""
    found, problems = load(FOLDER)
    assert not problems, problems
    return found


def with_bus(catalogue: Catalogue) -> Catalogue:
    """A valid catalogue together with the bus's own part: what is applied.

    Names cannot meet: validation keeps the bus's for the bus.
    """
    own = bus_catalogue()
    return dataclasses.replace(
        catalogue,
        agencies={**catalogue.agencies, **own.agencies},
        event_types={**catalogue.event_types, **own.event_types},
        schemas={**catalogue.schemas, **own.schemas},
        agreements={**catalogue.agreements, **own.agreements},
        places={**catalogue.places, **own.places},
    )
