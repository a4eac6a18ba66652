"""The supervisor as a process of its own: ``python -m lintas.local OPTIONS [--until-input-ends]``.

It writes one line of JSON to its standard output when the bus is ready or could not be started.
"""

import json
import logging
import os
import sys
from typing import Any

from lintas import logs
from lintas.errors import LintasError
from lintas.local.bus import LocalBus
from lintas.settings import Settings


def main() -> int:
    """Run the bus that the first argument describes."""
    logs.set_up("supervisor", "warning")
    answered = False

    def answer(**report: Any) -> None:
        nonlocal answered
        if not answered:
            print(json.dumps(report, default=str), flush=True)  # noqa: T201  the answer to our starter
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        answered = True

    def ready(_: Settings) -> None:
        answer(ready=True)

    try:
        LocalBus.from_json(sys.argv[1]).run(ready, until_input_ends="--until-input-ends" in sys.argv[2:])
    except LintasError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400  the message says it all
        answer(error=type(error).__name__, details=error.details)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
