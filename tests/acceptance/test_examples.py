"""The example programs in Java, Go and Node publish events, and read what every other one has published."""

import functools
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment

EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLISHER, CONSUMER = "bmkg.inatews", "bnpb.early-warning"
INBOX = f"inbox.{CONSUMER}"


@dataclass(frozen=True)
class Language:
    """What a language's example needs, how it is built, and how its two programs are started."""

    needs: tuple[str, ...]
    build: Sequence[str]
    publish: Sequence[str]
    read: Sequence[str]


_JAVA = ("java", "@target/argfile")  # a class path is longer than is read in a command
EVERY_LANGUAGE: Mapping[str, Language] = {
    "java": Language(
        ("javac", "mvn"),
        ("mvn", "-B", "-q", "compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath"),
        (*_JAVA, "Publish"),
        (*_JAVA, "Read"),
    ),
    "go": Language(
        ("go",), ("go", "build", "-o", "earthquakes", "."), ("./earthquakes", "publish"), ("./earthquakes", "read")
    ),
    "node": Language(
        ("node", "npm"), ("npm", "ci", "--no-audit", "--no-fund"), ("node", "publish.js"), ("node", "read.js")
    ),
}
# CI names those whose toolchain it has, and says which it leaves out (.ci/run)
LANGUAGES = {name: EVERY_LANGUAGE[name] for name in os.environ.get("LINTAS_TEST_LANGUAGES", "java go node").split()}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a language's example, built; all that can be built are built at once, on first use."""
    folder = tmp_path_factory.mktemp("examples")

    def build(language: str) -> Path:
        built = folder / language
        shutil.copytree(EXAMPLES / language, built)
        done = run(LANGUAGES[language].build, built, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        if language == "java":
            classpath = f"target/classes:{(built / 'target' / 'classpath').read_text()}"
            (built / "target" / "argfile").write_text(f'-cp "{classpath}"')
        return built

    there = [name for name, language in LANGUAGES.items() if all(map(shutil.which, language.needs))]
    with ThreadPoolExecutor() as pool:
        building = {name: pool.submit(build, name) for name in there}

    def folder_of(name: str) -> Path:
        for program in LANGUAGES[name].needs:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed: the example in {name} cannot be built")
        return building[name].result()

    return folder_of


def run(command: Sequence[str], folder: Path, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


@functools.cache
def event_id(language: str) -> str:
    return f"{language}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def published(deployment: Deployment, builds: Callable[[str], Path]) -> Mapping[str, str]:
    """What each program printed after it had published, twice, by language."""
    printed = {}
    for name, language in LANGUAGES.items():
        if not all(map(shutil.which, language.needs)):
            continue
        for _ in range(2):  # the second is a repeat, which the bus drops
            done = run([*language.publish, str(deployment.credentials_file(PUBLISHER)), event_id(name)], builds(name))
            assert done.returncode == 0, done.stderr
            printed[name] = done.stdout
    deployment.settle()
    return printed


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_program_publishes_is_stored_where_it_says(
    language: str, published: Mapping[str, str], builds: Callable[[str], Path], deployment: Deployment
) -> None:
    builds(language)  # skips where it cannot be built
    topic, partition, offset = published[language].split()
    (stored,) = [record for record in deployment.read(topic) if record.place == (topic, int(partition), int(offset))]
    assert stored.text("ce_id") == event_id(language)
    assert stored.text("ce_source") == f"urn:lintas:{PUBLISHER}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_reads_what_every_other_has_published_once_each(
    language: str, published: Mapping[str, str], builds: Callable[[str], Path], deployment: Deployment
) -> None:
    folder = builds(language)
    everything = deployment.read(INBOX)
    arguments = [str(deployment.credentials_file(CONSUMER)), f"{CONSUMER}.{language}", str(len(everything))]
    done = run([*LANGUAGES[language].read, *arguments], folder)
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(everything)
    quakes = [line for line in lines if line["event"]["id"] in {event_id(name) for name in published}]
    assert sorted(line["event"]["id"] for line in quakes) == sorted(event_id(name) for name in published)
    for line in quakes:
        assert line["event"]["agreement"] == "bnpb.early-warning.earthquake-measured"
        assert line["data"]["event_id"] == line["event"]["id"]
        assert (line["data"]["magnitude"], line["data"]["depth_km"]) == ("5.8", 140)
        assert "magnitude_tenths" not in line["data"]  # not released
