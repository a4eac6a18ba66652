"""A Java consumer made of Apache Kafka's client and Apache Avro reads an inbox, and no other topic.

Confluent's own Avro deserializer is not on Maven Central, and Apicurio's has its own settings; so this one does what
both do, in plain sight: the schema's id from the first five bytes, the schema from the registry, Avro's own reader.
"""

import base64
import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment
from marked_day import MarkedDay

pytestmark = pytest.mark.java
PROJECT = Path(__file__).parent / "java"
SYSTEM, OTHER = "djp.coretax", "kpu.sidalih"
TOPIC_REFUSED, PASSWORD_REFUSED = 3, 4

Reader = Callable[[Path, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Reads a topic with a credentials file."""
    for program in ("javac", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the Java client cannot be built")
    folder = tmp_path_factory.mktemp("java") / "reader"
    shutil.copytree(PROJECT, folder)
    build = ["mvn", "-B", "-q", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"]
    built = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout
    classpath = f"target/classes:{(folder / 'classpath').read_text()}"

    def read(credentials: Path, topic: str) -> subprocess.CompletedProcess[str]:
        group = f"{credentials.stem}.java"
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", classpath, "InboxReader", str(credentials), topic, group]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)

    return read


def test_it_reads_an_inbox_with_the_credentials_file_as_it_is(marked_day: MarkedDay, reader: Reader) -> None:
    done = reader(marked_day.deployment.credentials_file(SYSTEM), f"inbox.{SYSTEM}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.split("\n") if line]
    found = {base64.b64decode(line["headers"]["lintas-salt"]): line for line in lines}
    assert len(found) == len(lines)
    for one in marked_day.to(SYSTEM):
        line = found[dict(one.record.headers)["lintas-salt"]]
        assert line["headers"]["ce_agreement"] == one.agreement
        if one.agreement == f"{SYSTEM}.death-registered":
            assert line["data"] == as_avro_has_it(marked_day.events[one.event].data)


def as_avro_has_it(death: Any) -> Any:
    """What the agreement releases of a death, dates as Avro's days."""
    days = (dt.date.fromisoformat(death["died_on"]) - dt.date(1970, 1, 1)).days
    return {"deceased": {"nik": death["deceased"]["nik"]}, "died_on": days, "province": death["province"]}


@pytest.mark.parametrize("topic", [f"inbox.{OTHER}", "events.dukcapil.death.registered.v1", f"dead.{SYSTEM}"])
def test_it_is_refused_every_other_topic(deployment: Deployment, reader: Reader, topic: str) -> None:
    done = reader(deployment.credentials_file(SYSTEM), topic)
    assert (done.returncode, done.stdout) == (TOPIC_REFUSED, "")
    assert topic in done.stderr


def test_it_is_refused_with_a_wrong_password(deployment: Deployment, reader: Reader, tmp_path: Path) -> None:
    right = deployment.credentials_file(SYSTEM).read_text()
    wrong = tmp_path / f"{SYSTEM}.properties"
    wrong.write_text(right.replace('password="', 'password="not-'))
    done = reader(wrong, f"inbox.{SYSTEM}")
    assert (done.returncode, done.stdout) == (PASSWORD_REFUSED, "")
