import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.window import DuplicateWindow, identity

A, B = identity(b"urn:lintas:a.b", b"1"), identity(b"urn:lintas:a.b", b"2")


def window(records: int = 10, seconds: float = 60) -> DuplicateWindow:
    return DuplicateWindow(records=records, seconds=seconds)


def test_a_repeat_within_the_window_is_recognised() -> None:
    seen = window()
    assert not seen.is_repeat(0, 0, A)
    assert not seen.is_repeat(1, 0, B)
    assert seen.is_repeat(2, 0, A)


@pytest.mark.parametrize(
    ("offset", "timestamp_ms", "repeat"),
    [
        (10, 0, True),  # the last record of the window
        (11, 0, False),  # too many records between
        (1, 60_000, True),
        (1, 60_001, False),  # too late
    ],
)
def test_the_window_ends_after_so_many_records_or_seconds(offset: int, timestamp_ms: int, repeat: bool) -> None:
    seen = window()
    seen.is_repeat(0, 0, A)
    assert seen.is_repeat(offset, timestamp_ms, A) is repeat


def test_source_and_id_are_not_run_together() -> None:
    assert identity(b"urn:a", b"bc") != identity(b"urn:ab", b"c")


# A record: (how far behind the one before, how much later in ms, which event; None for a malformed one).
RECORDS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 30), st.one_of(st.none(), st.integers(0, 4))), max_size=80
)


def told(records: list[tuple[int, int, int | None]]) -> list[tuple[int, int, bytes | None]]:
    offset, time, out = 0, 0, []
    for step, later, event in records:
        offset, time = offset + step, time + later
        out.append((offset, time, None if event is None else identity(b"s", str(event).encode())))
    return out


def feed(seen: DuplicateWindow, offset: int, time: int, event: bytes | None) -> bool | None:
    if event is None:
        seen.add_malformed(offset)
        return None
    return seen.is_repeat(offset, time, event)


@given(RECORDS)
def test_the_window_is_what_its_definition_says(records: list[tuple[int, int, int | None]]) -> None:
    before: list[tuple[int, int, bytes | None]] = []
    seen = window(records=12, seconds=0.1)
    for offset, time, event in told(records):
        naive = any(
            earlier == event and offset - at <= 12 and time - when <= 100
            for at, when, earlier in before
            if earlier is not None
        )
        answer = feed(seen, offset, time, event)
        assert answer is None if event is None else answer is naive
        before.append((offset, time, event))


@given(RECORDS, st.integers(0, 80))
def test_whoever_takes_over_gives_the_same_answers(records: list[tuple[int, int, int | None]], cut: int) -> None:
    """Read again from the partition and the committed metadata, as a lane does."""
    stream = told(records)
    first = window(records=12, seconds=0.1)
    for record in stream[:cut]:
        feed(first, *record)
    position = stream[:cut][-1][0] + 1 if stream[:cut] else 0
    second = window(records=12, seconds=0.1)
    second.restore(first.metadata(position), position)
    for offset, time, event in stream[:cut]:
        if offset >= position - 12 and not second.is_malformed(offset):
            # Under a newer catalogue the record might parse: only the metadata knows that it was malformed.
            second.is_repeat(offset, time, event or identity(b"s", b"0"))
    for record in stream[cut:]:
        assert feed(second, *record) == feed(first, *record)


def test_the_metadata_fits_a_commit_even_if_every_other_record_is_malformed() -> None:
    seen = window(records=20_000)
    for offset in range(0, 20_000, 2):
        seen.add_malformed(offset)
    for offset in range(0, 20_000, 7):
        seen.add_malformed(offset)
    metadata = seen.metadata(20_000)
    assert len(metadata) < 4_096  # the brokers' offset.metadata.max.bytes
    again = window(records=20_000)
    again.restore(metadata, 20_000)
    assert [again.is_malformed(offset) for offset in range(20)] == [
        offset % 2 == 0 or offset % 7 == 0 for offset in range(20)
    ]


@pytest.mark.parametrize("end", ["", "\0"])  # confluent-kafka's closing NUL
def test_metadata_is_read_as_any_client_committed_it(end: str) -> None:
    seen = window()
    seen.add_malformed(3)
    again = window()
    again.restore(seen.metadata(5) + end, 5)
    assert again.is_malformed(3)
    again.restore(end, 5)
    assert not again.is_malformed(3)


def test_metadata_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        window().restore("m9:10:xx", 5)


def test_an_event_that_was_malformed_is_known_once_it_is_readmitted_and_by_whoever_reads_the_window_again() -> None:
    seen = window()
    seen.add_malformed(3)
    assert not seen.readmit(3, 0, A)
    assert seen.metadata(8) == ""  # the record counts again for who reads it anew
    assert seen.is_repeat(9, 0, A)


@pytest.mark.parametrize(
    ("offset", "timestamp_ms", "repeat"),
    [(13, 0, True), (14, 0, False), (9, 60_001, False)],  # the last within reach; too many records; too late
)
def test_what_was_published_again_behind_a_malformed_event_stays_the_one_that_counts(
    offset: int, timestamp_ms: int, repeat: bool
) -> None:
    seen = window()
    seen.add_malformed(3)
    seen.is_repeat(offset, timestamp_ms, A)
    assert seen.readmit(3, 0, A) is repeat
    assert seen.is_repeat(offset + 10, timestamp_ms, A)


def test_a_malformed_offset_that_is_not_before_the_position_is_not_carried() -> None:
    """Such are those of a topic that was deleted and made anew since."""
    seen = window()
    for offset in (3, 5_000):
        seen.add_malformed(offset)
    again = window()
    again.restore(seen.metadata(8), 8)
    assert [again.is_malformed(offset) for offset in (3, 5_000)] == [True, False]
