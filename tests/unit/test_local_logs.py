from pathlib import Path

import pytest

from lintas.local import logs


def test_a_log_that_grew_too_large_is_moved_aside_while_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"first" * 2)
        logs.rotate(log)
        writer.write(b"second" * 2)
        logs.rotate(log)
        writer.write(b"third")
    assert log.read_bytes() == b"third"
    assert (tmp_path / "part.log.1").read_bytes() == b"second" * 2
    assert (tmp_path / "part.log.2").read_bytes() == b"first" * 2


def test_old_logs_are_thrown_away_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1)
    log = tmp_path / "part.log"
    for _ in range(6):
        log.write_text("text")
        logs.rotate(log)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "part.log",
        "part.log.1",
        "part.log.2",
        "part.log.3",
    ]


@pytest.mark.parametrize(
    ("text", "end"), [("a\nb\nc\n", "  b\n  c"), ("", "(the log is empty)"), (None, "(there is no log)")]
)
def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path, text: str | None, end: str) -> None:
    log = tmp_path / "part.log"
    if text is not None:
        log.write_text(text)
    assert logs.tail(log, lines=2) == end
