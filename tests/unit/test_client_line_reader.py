import asyncio
import os
from pathlib import Path

from lintas.cli.line_reader import LINE_LIMIT, lines_of


async def _lines(descriptor: int) -> list[tuple[int, bytes | None]]:
    return [line async for line in lines_of(descriptor)]


def _of(path: Path, content: bytes) -> list[tuple[int, bytes | None]]:
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return asyncio.run(_lines(descriptor))
    finally:
        os.close(descriptor)


def test_lines_are_numbered_as_in_an_editor_and_blank_ones_left_out(tmp_path: Path) -> None:
    assert _of(tmp_path / "lines", b"one\n\n  \r\nfour\r\nfive") == [(1, b"one"), (4, b"four"), (5, b"five")]


def test_a_line_longer_than_any_event_is_reported_and_the_next_one_read(tmp_path: Path) -> None:
    long = b"x" * (LINE_LIMIT + 300_000)
    assert _of(tmp_path / "lines", b"one\n" + long + b"\nthree\n" + long) == [
        (1, b"one"),
        (2, None),
        (3, b"three"),
        (4, None),
    ]


async def test_while_a_pipe_is_silent_everything_else_goes_on() -> None:
    reading, writing = os.pipe()
    try:
        lines = aiter(lines_of(reading))
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        assert not first.done()
        os.write(writing, b"one\ntw")
        assert await first == (1, b"one")
        os.write(writing, b"o\n")
        os.close(writing)
        assert [line async for line in lines] == [(2, b"two")]
    finally:
        os.close(reading)
