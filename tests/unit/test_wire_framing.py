"""Confluent's framing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.errors import MalformedFraming
from schemas.wire.framing import frame, unframe


@given(st.integers(0, 2**32 - 1), st.binary())
def test_unframe_gives_back_what_was_framed(schema_id: int, body: bytes) -> None:
    assert unframe(frame(schema_id, body)) == (schema_id, body)


@pytest.mark.parametrize(
    ("value", "rule", "hint"),
    [
        (b"", "too-short", "0 bytes"),
        (b"\x00", "too-short", "1 bytes"),
        (b"\x00\x00\x00\x00", "too-short", "4 bytes"),
        (b"\x02\x00\x00\x00\x07x", "magic-byte", "does not begin with the byte 0x00"),
        (b'{"nik": "3273012411950001"}', "magic-byte", "JSON"),
        (b"{", "magic-byte", "JSON"),
        (b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00x", "magic-byte", "single-object"),
        (b"\x01" + bytes(16), "magic-byte", "GUID"),
        (b"Obj\x01", "magic-byte", "Avro file"),
    ],
)
def test_a_value_without_schema_id_is_refused(value: bytes, rule: str, hint: str) -> None:
    with pytest.raises(MalformedFraming, match=hint) as caught:
        unframe(value)
    assert [problem.rule for problem in caught.value.problems] == [rule]
    assert caught.value.stage == "framing"
    assert "3273012411950001" not in str(caught.value)
