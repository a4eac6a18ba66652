"""Physical lines of a binary file, with their numbers and byte offsets."""

from collections import deque
from typing import BinaryIO, Final, Protocol

LONGEST: Final = 4 * 1024 * 1024  # bytes of a line; an event may have 1,000,000
MOST_BACK: Final = 200  # lines
UTF8_BOM: Final = b"\xef\xbb\xbf"


class Lines(Protocol):
    """Gives one line after another."""

    number: int  # lines handed out so far
    offset: int  # bytes handed out so far

    def next(self) -> bytes | None:
        """The next line with its end, cut behind LONGEST bytes; None at the end."""

    def back(self, lines: list[bytes]) -> None:
        """Take lines back that were handed out last, MOST_BACK at most, to hand them out again."""


class FileLines:
    """The lines of a file that can be sought in."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lengths: deque[int] = deque(maxlen=MOST_BACK)  # of the lines as they are, uncut
        self.number = 0
        self.offset = 0

    def go_to(self, number: int, offset: int) -> None:
        """Go on behind line ``number``, which ends at ``offset``."""
        self._file.seek(offset)
        self.number, self.offset = number, offset

    def next(self) -> bytes | None:
        """The next line with its end, cut behind LONGEST bytes; None at the end."""
        line = self._file.readline(LONGEST + 1)
        if not line:
            return None
        length, rest = len(line), line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = self._file.readline(LONGEST + 1)
            length += len(rest)
        self.number += 1
        self.offset += length
        self._lengths.append(length)
        return line

    def back(self, lines: list[bytes]) -> None:
        """Take lines back that were handed out last, to hand them out again."""
        for _ in lines:
            self.number -= 1
            self.offset -= self._lengths.pop()
        self._file.seek(self.offset)


def is_too_long(line: bytes) -> bool:
    """Whether a line was cut."""
    return len(line) > LONGEST
