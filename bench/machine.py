"""On what the figures were measured."""

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import psutil

from lintas.local import jre
from lintas.local.artefacts import locked

ROOT = Path(__file__).parents[1]
LIBRARIES = ("aiokafka", "confluent-kafka", "faust-streaming", "fastavro")


def machine() -> str:
    """Machine and versions, in a paragraph."""
    memory = psutil.virtual_memory().total / 2**30
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return (
        f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}; "
        f"broker, contenders and bench share them. Python {platform.python_version()}, {', '.join(libraries)}, "
        f"quixstreams {_quix()}, Apache Kafka {_kafka()} (one broker) and Kafka Streams {_streams()} on Java {_java()}."
    )


def moment() -> str:
    """When a section was measured, and what else the machine was doing."""
    one, _, fifteen = os.getloadavg()
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC; load average {one:.1f} (of fifteen minutes: {fifteen:.1f})."


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _kafka() -> str:
    return next(artefact.fields[2] for artefact in locked("kafka") if artefact.fields[1] == "kafka_2.13")


def _streams() -> str:
    text = (ROOT / "bench/peers/kafka-streams/pom.xml").read_text()
    found = re.search(r"<artifactId>kafka-streams</artifactId>\s*<version>(.*?)</version>", text)
    return found[1] if found else "?"


def _quix() -> str:
    found = re.search(r"^quixstreams==(\S+)", (ROOT / "bench/requirements.lock").read_text(), re.MULTILINE)
    return found[1] if found else "?"


def _java() -> str:
    asked = subprocess.run([str(jre.java()), "-version"], capture_output=True, text=True, timeout=30, check=True)
    found = re.search(r'version "(.*?)"', asked.stderr)
    return found[1] if found else "?"
