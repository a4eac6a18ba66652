"""A lane worker with a defect: its code crashes at events that hold one word.

python tests/integration/poisoned_worker.py read | release
"""

import sys
from typing import Any

from lane_bus import POISON

from lintas.cli.worker import worker
from schemas.released import Releaser
from streams.decide import EventTypePlan
from streams.span_plans import Reading


def poison(what: str) -> None:
    """Let ``what`` crash, wherever it is done."""
    owner, method = {"read": (EventTypePlan, "_data_of"), "release": (Releaser, "__call__")}[what]
    original = getattr(owner, method)

    def crash(self: Any, *arguments: Any) -> Any:
        made = original(self, *arguments)
        if POISON in f"{arguments} {made}":
            raise ZeroDivisionError(f"of {arguments}")
        return made

    setattr(owner, method, crash)
    compile_reading = Reading.__init__

    def compiled(reading: Reading, *arguments: Any) -> None:
        compile_reading(reading, *arguments)
        walk = reading.walk

        def poisoned(data: bytes, at: int, stop: int) -> Any:
            if POISON.encode() in data[at:stop]:
                raise KeyError(data[at:stop])
            return walk(data, at, stop)

        reading.walk = poisoned

    Reading.__init__ = compiled  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    poison(sys.argv[1])
    worker.main([], prog_name="poisoned worker")
