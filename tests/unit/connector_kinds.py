"""Two kinds of connectors that only tests have; they do nothing."""

from pathlib import Path
from typing import Any

from pydantic import Field

from connectors.runtime.context import Context
from connectors.runtime.plugin import Config, Guarantee, Plugin
from connectors.runtime.validation import by_name


class Counting(Config):
    """Counts."""

    event_type: str = Field(description="what it makes")
    until: int = Field(description="the last number is one less", gt=0)
    pause_ms: int = Field(20, ge=0, description="between events")


class Writing(Config):
    """Writes down."""

    file: Path = Field(description="where to")


def _nothing(config: Any, context: Context) -> Any:
    raise NotImplementedError


def _no_folder(config: Writing) -> list[tuple[str, str]]:
    return [] if config.file.parent.is_dir() else [("file", f"there is no folder {config.file.parent}")]


KINDS = by_name(
    (
        Plugin(
            name="counting",
            kind="source",
            summary="Counts",
            config=Counting,
            build=_nothing,
            guarantee=Guarantee.EXACTLY_ONCE,
            guarantee_because="the number is written with the events",
            example="event_type: id.go.office.permit.issued.v1\nuntil: 10\n",
        ),
        Plugin(
            name="writing",
            kind="sink",
            summary="Writes down",
            config=Writing,
            build=_nothing,
            guarantee=Guarantee.AT_LEAST_ONCE,
            guarantee_because="the file knows nothing of positions",
            example="file: /tmp/written.jsonl\n",
            check=_no_folder,
        ),
    )
)
