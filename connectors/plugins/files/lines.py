"""Physical lines of a binary file, with their numbers and byte offsets."""

from typing import BinaryIO, Final, Protocol

LONGEST: Final = 4 * 1024 * 1024  # bytes of a line; an event may have 1,000,000
UTF8_BOM: Final = b"\xef\xbb\xbf"


class Lines(Protocol):
    """Gives one line after another."""

    number: int  # lines handed out so far
    offset: int  # bytes handed out so far

    def next(self) -> bytes | None:
        """The next line with its end, cut behind LONGEST bytes; None at the end."""

    def back(self, lines: list[bytes]) -> None:
        """Take lines back that were handed out last, to hand them out again."""


class FileLines:
    """The lines of a file that can be sought in."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
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
        self.number += 1
        self.offset += len(line)
        rest = line
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = self._file.readline(LONGEST + 1)
            self.offset += len(rest)
        return line

    def back(self, lines: list[bytes]) -> None:
        """Take lines back that were handed out last, to hand them out again."""
        if lines:
            self.number -= len(lines)
            self.offset -= sum(map(len, lines))
            self._file.seek(self.offset)


def is_too_long(line: bytes) -> bool:
    """Whether a line was cut."""
    return len(line) > LONGEST
