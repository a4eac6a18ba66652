import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lintas import names
from streams import evidence

SEED = bytes(32)
HEADERS = [("ce_id", b"1"), ("ce_type", b"x")]


def test_a_recipient_opens_its_own_commitment_with_its_salt_alone() -> None:
    salt = next(evidence.salts(SEED, evidence.SALTS_OUT, "t", 0))
    written = evidence.commitment(salt, b"k", [*HEADERS, (names.HEADER_SALT, b"")], b"v")
    received = [*HEADERS, (names.HEADER_SALT, salt)]
    assert evidence.commitment(dict(received)[names.HEADER_SALT], b"k", received, b"v") == written


@pytest.mark.parametrize(
    ("key", "headers", "value"),
    [
        (None, HEADERS, b"v"),
        (b"", HEADERS, b"v"),
        (b"k", HEADERS[:1], b"v"),
        (b"k", HEADERS[::-1], b"v"),
        (b"k", [("ce_id", b"1"), ("ce_typ", b"ex")], b"v"),  # a boundary moved
        (b"k", HEADERS, b"w"),
        (b"k", HEADERS, None),
    ],
)
def test_whatever_differs_gives_another_commitment(
    key: bytes | None, headers: list[tuple[str, bytes]], value: bytes | None
) -> None:
    assert evidence.commitment(SEED, key, headers, value) != evidence.commitment(SEED, b"k", HEADERS, b"v")


@given(st.sets(st.tuples(st.sampled_from(["t", "u"]), st.integers(0, 9)), min_size=2, max_size=9))
def test_every_salt_of_a_batch_is_its_own(places: set[tuple[str, int]]) -> None:
    streams = [evidence.salts(SEED, of, *at) for at in places for of in (evidence.SALTS_IN, evidence.SALTS_OUT)]
    found = [salt for stream in streams for salt in itertools.islice(stream, 200)]
    assert len(set(found)) == 400 * len(places)


def test_salts_are_derived_as_the_reference_says() -> None:
    place = bytes([0, 0, 0, 1]) + bytes([0, 0, 0, 9]) + b"t"
    derived = hashlib.shake_256(b"lintas.salts.in.v1" + SEED + place).digest(64)
    found = itertools.islice(evidence.salts(SEED, evidence.SALTS_IN, "t", 9), 64, 66)
    assert list(found) == [derived[:32], derived[32:]]


def test_seeds_are_random() -> None:
    assert evidence.new_seed() != evidence.new_seed()
    assert len(evidence.new_seed()) == evidence.SALT_BYTES


def test_the_program_of_the_reference_page_checks_a_delivery() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/evidence.md").read_text()
    program: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], program)
    headers = [*HEADERS, (names.HEADER_SALT, SEED), ("long", b"x" * 9_000)]
    for key, value in ((b"k", b"v" * 300), (None, b""), (b"", None)):
        assert program["commitment"](SEED, key, headers, value) == evidence.commitment(SEED, key, headers, value)
