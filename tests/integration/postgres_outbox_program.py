"""The outbox source as a process of its own: DSN file and bus file are its arguments; it runs until it is killed."""

import sys
from pathlib import Path

from postgres_runs import RUNNING, FileBus, context, run

from connectors.plugins.postgres.outbox import OutboxConfig, OutboxSource

if __name__ == "__main__":
    print(RUNNING, flush=True)  # noqa: T201  read by whoever kills it
    settings = OutboxConfig.model_validate({"dsn_file": sys.argv[1], "rows": 50})
    run(OutboxSource(settings, context()), FileBus(Path(sys.argv[2])), lambda: False, seconds=600)
