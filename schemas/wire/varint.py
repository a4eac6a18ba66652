"""Zigzag numbers of variable length, as Avro and Kafka's records both write them (Avro 1.12, "Primitive Types")."""

from typing import Final

_MORE: Final = 0x80
_SEVEN: Final = 0x7F


class BadNumber(ValueError):
    """Bytes that are no number of their type.

    Attributes:
        rule: ``varint`` or ``range``.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def zigzag(value: int) -> bytes:
    """A number in as few bytes as it needs."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    if rest < _MORE:
        return bytes((rest,))
    out = bytearray()
    while rest > _SEVEN:
        out.append(rest & _SEVEN | _MORE)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def read_varint(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """A number that is not yet zigzag-decoded, and the position after it; two and three bytes are the common cases.

    Raises:
        BadNumber: it is longer than it needs to be, or than ``bits`` take, or beyond them.
        IndexError: the bytes end within it.
    """
    value = data[at]
    if value < _MORE:
        return value, at + 1
    second = data[at + 1]
    if second >= _MORE:
        third = data[at + 2]
        if 0 < third < _MORE:
            return value & _SEVEN | (second & _SEVEN) << 7 | third << 14, at + 3
    elif second:
        return value & _SEVEN | second << 7, at + 2
    return _long_varint(data, at, bits)


def _long_varint(data: bytes, at: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & _SEVEN) << shift
        if byte < _MORE:
            break
        shift += 7
        if shift > bits:
            raise BadNumber("varint", f"is a number longer than {bits} bits take")
    if byte == 0:
        raise BadNumber("varint", "is a number written longer than it needs to be")
    if value >> bits:
        raise BadNumber("range", f"is a number beyond {bits} bits")
    return value, at
