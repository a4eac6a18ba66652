"""Write every dashboard to ``out``: ``python -m monitoring.dashboards.generate [FOLDER]``."""

import json
import sys
from pathlib import Path

from monitoring.dashboards.agreement import AGREEMENT
from monitoring.dashboards.connector import CONNECTOR
from monitoring.dashboards.event_type import EVENT_TYPE
from monitoring.dashboards.kafka import KAFKA
from monitoring.dashboards.overview import OVERVIEW
from monitoring.dashboards.worker import WORKER

DASHBOARDS = (OVERVIEW, EVENT_TYPE, AGREEMENT, WORKER, CONNECTOR, KAFKA)
OUT = Path(__file__).parent / "out"


def write(folder: Path) -> None:
    """One file for each dashboard, named after its uid."""
    for dashboard in DASHBOARDS:
        (folder / f"{dashboard.uid}.json").write_text(json.dumps(dashboard.json(), indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else OUT)
