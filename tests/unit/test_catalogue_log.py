import dataclasses
from collections.abc import Callable

import pytest

from lintas.errors import CatalogueError, UnknownName
from schemas.catalogue_log import CatalogueLog, Pointer
from schemas.compose import compose, numbering
from schemas.load import Catalogue
from schemas.snapshot import Snapshot

Record = tuple[bytes, bytes]


@pytest.fixture
def first(small_catalogue: Callable[[str], Catalogue]) -> Snapshot:
    return compose(small_catalogue("x"), numbering())


@pytest.fixture
def second(first: Snapshot) -> Snapshot:
    return dataclasses.replace(first, agreements={})


def published(log: CatalogueLog, snapshot: Snapshot) -> list[Record]:
    """What publishing a catalogue after what the log holds would write."""
    current = log.current
    pointer = Pointer(
        manifest=snapshot.digest,
        previous=current.manifest if current else None,
        author="a@b",
        at="2026-01-01T00:00:00+00:00",
        number=current.number + 1 if current else 1,
    )
    return [*log.new_records(snapshot), *pointer.records()]


def taken_in(log: CatalogueLog, records: list[Record]) -> CatalogueLog:
    for key, value in records:
        log.add(key, value)
    return log


def both(first: Snapshot, second: Snapshot) -> tuple[list[Record], list[Record]]:
    log = CatalogueLog()
    before = published(log, first)
    after = published(taken_in(log, before), second)
    return before, after


def test_what_is_written_is_what_is_read(first: Snapshot) -> None:
    log = taken_in(CatalogueLog(), published(CatalogueLog(), first))
    assert log.snapshot(first.digest) == first


def test_only_objects_that_the_topic_lacks_are_written(first: Snapshot, second: Snapshot) -> None:
    _, after = both(first, second)
    assert [key.partition(b"/")[0] for key, _ in after] == [b"object", b"applied", b"current"]  # the manifest alone


def test_an_earlier_catalogue_stays_readable(first: Snapshot, second: Snapshot) -> None:
    before, after = both(first, second)
    log = taken_in(CatalogueLog(), before + after)
    assert log.snapshot(log.pointer(first.digest[:10]).manifest) == first
    assert [pointer.number for pointer in log.history] == [2, 1]


def test_compaction_takes_nothing_away(first: Snapshot, second: Snapshot) -> None:
    before, after = both(first, second)
    compacted = list({key: (key, value) for key, value in before + after if key != b"current"}.values())
    log = taken_in(CatalogueLog(), [*compacted, after[-1]])
    assert log.current is not None
    assert (log.current.number, len(log.history)) == (2, 2)


def test_records_that_are_read_again_change_nothing(first: Snapshot, second: Snapshot) -> None:
    before, after = both(first, second)
    log = taken_in(CatalogueLog(), before + after + before)
    assert log.current is not None
    assert log.current.manifest == second.digest


def test_an_altered_object_is_refused(first: Snapshot) -> None:
    key, value = published(CatalogueLog(), first)[0]
    with pytest.raises(CatalogueError, match="altered"):
        CatalogueLog().add(key, value.replace(b"office", b"orifce"))


def test_a_pointer_to_a_missing_object_is_refused(first: Snapshot) -> None:
    records = published(CatalogueLog(), first)
    with pytest.raises(CatalogueError, match="missing"):
        taken_in(CatalogueLog(), records[-2:])


@pytest.mark.parametrize(
    "change",
    [
        {"previous": None},  # does not continue the first
        {"previous": "0" * 64},  # continues one that never was
        {"number": 1},  # takes the first one's place
        {"number": 9, "previous": "0" * 64},  # leaps over a gap from nowhere
    ],
)
def test_a_broken_chain_is_refused(first: Snapshot, second: Snapshot, change: dict[str, object]) -> None:
    before, after = both(first, second)
    forged = dataclasses.replace(Pointer.from_bytes(after[-1][1]), **change)  # type: ignore[arg-type]  # a table's
    log = taken_in(CatalogueLog(), [*before, *after[:-2]])
    with pytest.raises(CatalogueError):
        taken_in(log, forged.records())


def test_a_deleted_record_is_refused(first: Snapshot) -> None:
    key, _ = published(CatalogueLog(), first)[0]
    with pytest.raises(CatalogueError, match="deleted"):
        CatalogueLog().add(key, None)


@pytest.mark.parametrize("digest", ["", "00000000"])
def test_a_catalogue_that_never_was_is_an_unknown_name(first: Snapshot, digest: str) -> None:
    log = taken_in(CatalogueLog(), published(CatalogueLog(), first))
    with pytest.raises(UnknownName, match="catalogue history"):
        log.pointer(digest)
