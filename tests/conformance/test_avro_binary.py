"""Avro binary and Confluent's framing, by the text: the vectors of avro_binary.yaml."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.wire.codec import Codec
from schemas.wire.framing import frame, unframe

VECTORS = yaml.safe_load(Path(__file__).with_name("avro_binary.yaml").read_text(encoding="utf-8"))


def value_of(vector: dict[str, Any]) -> Any:
    return Decimal(vector["decimal"]) if "decimal" in vector else vector["value"]


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=f"{number}: {vector['says']}") for number, vector in enumerate(vectors)]


@pytest.mark.parametrize("vector", named(VECTORS["values"]))
def test_a_value_is_written_as_the_specification_says(vector: dict[str, Any]) -> None:
    assert Codec(vector["schema"]).encode(value_of(vector)).hex() == vector["hex"]


@pytest.mark.parametrize("vector", named(VECTORS["values"] + VECTORS["readings"]))
def test_bytes_are_read_as_the_specification_says(vector: dict[str, Any]) -> None:
    assert Codec(vector["schema"]).decode(bytes.fromhex(vector["hex"])) == value_of(vector)


@pytest.mark.parametrize("vector", VECTORS["frames"])
def test_values_are_framed_as_confluent_does(vector: dict[str, Any]) -> None:
    body, framed = bytes.fromhex(vector["body"]), bytes.fromhex(vector["hex"])
    assert frame(vector["id"], body) == framed
    assert unframe(framed) == (vector["id"], body)


def test_confluents_own_code_reads_what_we_frame() -> None:
    """Its wire format code is the reference; the registry itself is tried in tests/integration."""
    serde = pytest.importorskip("confluent_kafka.schema_registry.serde", reason="confluent-kafka without its registry")
    read = serde.SchemaId("AVRO")
    rest = read.from_bytes(io.BytesIO(frame(7, b"\x06foo")))
    assert (read.id, rest.read()) == (7, b"\x06foo")
