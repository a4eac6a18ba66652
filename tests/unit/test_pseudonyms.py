"""Pseudonyms are stable for one consumer, unlinkable between consumers, and their keys are made once."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lintas.errors import BadSettings, MissingCredentials
from schemas.pseudonyms import KeyFiles, PseudonymKeys, inbox_partition

KEYS = PseudonymKeys.fixed({1: b"1" * 32, 2: b"2" * 32})
SYSTEMS = st.tuples(*[st.text("ab", min_size=1, max_size=3)] * 2).map(".".join)


def test_a_pseudonym_is_what_the_documentation_says() -> None:
    """Computed by hand with openssl, so that another program can make the same tokens."""
    token = PseudonymKeys.fixed({1: bytes(range(32))}).for_consumer("bps.vital-statistics", 1)(b"3273012311260001")
    assert token == "p1-f4b9ee580aca31b63a151707cf925a44"


@given(st.binary())
def test_a_pseudonym_tells_its_key_version_and_has_a_fixed_form(value: bytes) -> None:
    assert re.fullmatch(r"p2-[0-9a-f]{32}", KEYS.for_consumer("a.b", 2)(value))


@given(SYSTEMS, st.binary())
def test_the_same_value_of_the_same_consumer_gives_the_same_pseudonym(system: str, value: bytes) -> None:
    assert KEYS.for_consumer(system, 1)(value) == KEYS.for_consumer(system, 1, None)(value)


@given(SYSTEMS, SYSTEMS, st.lists(st.binary(), min_size=1, max_size=20))
def test_two_consumers_never_share_a_pseudonym(one: str, other: str, values: list[bytes]) -> None:
    if one == other:
        return
    first, second = KEYS.for_consumer(one, 1), KEYS.for_consumer(other, 1)
    assert {first(value) for value in values}.isdisjoint(second(value) for value in values)


@given(SYSTEMS, st.text(min_size=1), st.text(min_size=1), st.binary())
def test_domains_of_one_consumer_share_no_pseudonym(system: str, one: str, other: str, value: bytes) -> None:
    in_domain = KEYS.for_consumer(system, 1, one)(value)
    assert in_domain != KEYS.for_consumer(system, 1)(value)
    assert (in_domain == KEYS.for_consumer(system, 1, other)(value)) == (one == other)


def test_system_and_domain_cannot_run_into_each_other() -> None:
    assert KEYS.for_consumer("a.b", 1, "c")(b"x") != KEYS.for_consumer("a.bc", 1, "")(b"x")


def test_another_version_of_the_key_gives_other_pseudonyms() -> None:
    old, new = KEYS.for_consumer("a.b", 1)(b"x"), KEYS.for_consumer("a.b", 2)(b"x")
    assert old.partition("-")[2] != new.partition("-")[2]


@given(SYSTEMS, st.lists(st.binary(), max_size=20), st.integers(1, 50))
def test_a_source_key_has_one_partition_of_an_inbox(system: str, source_keys: list[bytes], partitions: int) -> None:
    key = KEYS.partition_key(system)
    for source_key in source_keys:
        partition = inbox_partition(key, source_key, partitions)
        assert 0 <= partition < partitions
        assert partition == inbox_partition(KEYS.partition_key(system), source_key, partitions)


def test_partitions_do_not_move_when_pseudonyms_get_a_new_key() -> None:
    before = PseudonymKeys.fixed({1: b"1" * 32}).partition_key("a.b")
    assert KEYS.partition_key("a.b") == before


def test_two_consumers_spread_the_same_keys_differently() -> None:
    source_keys = [str(number).encode() for number in range(100)]
    one, other = KEYS.partition_key("a.b"), KEYS.partition_key("c.d")
    assert [inbox_partition(one, key, 4) for key in source_keys] != [
        inbox_partition(other, key, 4) for key in source_keys
    ]


def test_a_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "secrets" / "pseudonym-keys"
    first = PseudonymKeys.create(folder).for_consumer("a.b", 1)(b"x")
    assert PseudonymKeys.create(folder).for_consumer("a.b", 1)(b"x") == first
    assert PseudonymKeys.load(folder).for_consumer("a.b", 1)(b"x") == first
    assert [path.name for path in folder.iterdir()] == ["1.key"]
    assert stat.S_IMODE((folder / "1.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_of_several_that_make_a_key_at_the_same_time_all_use_the_first(tmp_path: Path) -> None:
    def create(_: int) -> bytes:
        files = KeyFiles(tmp_path)
        files.create(1)
        return files.key(1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, range(64)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["1.key"]


def test_two_versions_have_two_keys(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path)
    files.create(1)
    files.create(2)
    assert files.key(1) != files.key(2)


def test_a_version_without_a_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingCredentials, match="pseudonym key 7"):
        PseudonymKeys.load(tmp_path).for_consumer("a.b", 7)


@pytest.mark.parametrize("content", ["", "00", "not hexadecimal", "00" * 33])
def test_a_damaged_key_file_is_refused_without_its_content(tmp_path: Path, content: str) -> None:
    (tmp_path / "1.key").write_text(content)
    with pytest.raises(BadSettings) as refused:
        PseudonymKeys.load(tmp_path).partition_key("a.b")
    assert "not hexadecimal" not in str(refused.value)
