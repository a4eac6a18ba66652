"""The documentation says what the code says."""

import datetime as dt
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lintas import errors
from lintas.cli.main import main as root
from monitoring.book_metrics import BookMetrics
from streams.books import KINDS, Books

REPOSITORY = Path(__file__).parents[2]
MOST_OF_A_PICTURE, MOST_OF_ALL_PICTURES = 150_000, 2_500_000  # bytes
BOOKS = REPOSITORY / "docs/how-to/watch-the-books.md"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as the code says now; made by a process of its own, since click remembers how others asked for help."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, str(REPOSITORY / "docs/generate.py"), str(folder)], cwd=REPOSITORY, check=True)
    return folder


@pytest.mark.parametrize("name", ["commands.md", "settings.md", "rules.md", "metrics.md"])
def test_a_generated_page_is_what_the_code_says_now(name: str, generated: Path) -> None:
    assert (REPOSITORY / "docs/reference" / name).read_text() == (generated / name).read_text(), "run `make docs`"


def lines_with_commands() -> list[str]:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "connectors/client/README.md"]
    found = []
    for page in pages:
        if page.name == "commands.md":
            continue
        for block in re.findall(r"```(?:sh|console|bash)?\n(.*?)```", page.read_text(), re.DOTALL):
            lines = [line.removeprefix("$ ") for line in block.splitlines()]
            found += [line for line in lines if line.startswith("lintas ")]
        found += re.findall(r"`(lintas [^`]+)`", page.read_text())
    return sorted(set(found))


@pytest.mark.parametrize("line", lines_with_commands())
def test_a_command_that_is_written_down_exists_with_its_options(line: str) -> None:
    words = shlex.split(re.sub(r"\s[|>#].*", "", line))
    command: click.Command = root
    for word in words[1:]:
        if isinstance(command, click.Group) and not word.startswith("-"):
            below = command.get_command(click.Context(command), word)
            assert below is not None, f"there is no {word!r} in {line!r}"
            command = below
        elif word.startswith("-") and not isinstance(command, click.Group):
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert word.partition("=")[0] in known | {"--help", "-h"}, f"{command.name} has no {word}"


def test_every_metric_of_the_books_and_every_kind_of_difference_is_written_down() -> None:
    metrics, now = BookMetrics(), dt.datetime.now(dt.UTC)
    metrics.complete(Books(lambda _, __: {}), [], since=now, began=now, seconds=0)
    told = {metric.name + "_total" * (metric.type == "counter"): metric.type for metric in metrics.collect()}
    written = dict(re.findall(r"^\| `(lintas_\w+)` \| (\w+)", BOOKS.read_text(), re.MULTILINE))
    assert written == told
    assert all(f"`{kind}`" in BOOKS.read_text() for kind in KINDS)


def every_error() -> dict[str, type[errors.LintasError]]:
    return {
        name: error
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.LintasError)
    }


def test_every_error_says_what_happened_and_what_to_do() -> None:
    without = {name for name, error in every_error().items() if "Remedy" not in (error.__doc__ or "")}
    lists_of_problems = {"InvalidCatalogue", "InvalidConnector", "UnknownName", "PublishRefused", "RequestRefused"}
    bases = {"LintasError", "CatalogueError", "ProcessorStopped"}
    assert without <= lists_of_problems | bases


def test_the_tree_of_errors_is_complete() -> None:
    tree = (errors.__doc__ or "").split("\n\n")[1]
    assert set(re.findall(r"(?:──|^)\s*([A-Z]\w+)", tree, re.MULTILINE)) == set(every_error())


def test_every_picture_of_the_console_is_small_and_told_in_words() -> None:
    page = (REPOSITORY / "docs/how-to/console.md").read_text()
    told = dict(re.findall(r"!\[(.+?)\]\(\.\./console/(.+?)\)", page))
    sizes = {picture.name: picture.stat().st_size for picture in (REPOSITORY / "docs/console").iterdir()}
    assert sorted(told.values()) == sorted(sizes)
    assert max(sizes.values()) < MOST_OF_A_PICTURE
    assert sum(sizes.values()) < MOST_OF_ALL_PICTURES
