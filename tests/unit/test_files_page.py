"""What docs/how-to/files.md shows is what happens."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from driven import DrivenSource, context

from connectors.plugins import known
from connectors.plugins.files import folder
from connectors.plugins.files import source as files
from connectors.plugins.files.settings import Files
from connectors.runtime.validation import by_name, problems
from schemas.model import Connector

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "files.md").read_text()
CONNECTORS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
GIVEN, LISTED = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("written", CONNECTORS, ids=lambda written: written["connector"])
def test_every_connector_on_the_page_is_right(written: dict[str, Any]) -> None:
    connector = Connector.model_validate(written)
    assert problems(by_name(known.PLUGINS), connector.plugin, connector.config) == []


async def test_the_file_on_the_page_gives_the_list_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_IDLE_SECONDS", 0.0)
    (tmp_path / "2021-01.csv").write_text(GIVEN)
    config = CONNECTORS[0]["config"] | {"folder": tmp_path, "settle_seconds": 0}
    driven = DrivenSource()
    await driven.life(files.FolderSource(Files.model_validate(config), context()))
    assert [event.data["depth_km"] for event in driven.events] == [58, 10]
    assert (tmp_path / "done" / "2021-01.csv.rejected.csv").read_text() == LISTED
    assert (tmp_path / "done" / "2021-01.csv").read_text() == GIVEN


def test_the_page_tells_of_every_suffix_of_unfinished_files() -> None:
    assert all(f"`{suffix}`" in PAGE for suffix in folder.UNFINISHED)
