"""The places of a writer's schema at which plans need a position or a value, and how a newer schema sees them.

A ``Place`` stands for one place of the binary, in the order in which it is walked. A ``Mark`` is a position between two
places. Whoever needs a mark or a value says so before the code of the walk is made, and finds it afterwards in its
frame: the tuple that the walk returns, or, inside arrays and maps, one tuple for each item.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from schemas.wire.encoder import default_bytes
from schemas.wire.types import NO_DEFAULT, Array, Enum, Field, Map, Record, Scalar, Type, Union, is_null

_DEEPEST = 6  # arrays and maps inside each other that the walk goes into


class Unsuited(Exception):
    """A schema or release for which no plan by field span is made: the reference path serves it."""


@dataclasses.dataclass(eq=False, slots=True)
class Frame:
    """One tuple of what was found; ``slots`` are names of variables of the walk in their order."""

    depth: int = 0
    slots: list[str] = dataclasses.field(default_factory=list)

    def slot(self, name: str) -> int:
        """The index of a variable, which is noted if it is new."""
        if name not in self.slots:
            self.slots.append(name)
        return self.slots.index(name)


@dataclasses.dataclass(eq=False, slots=True)
class Mark:
    """A position; ``name`` is its variable in the walk, once somebody needs it."""

    frame: Frame
    number: int
    needed: bool = False

    @property
    def name(self) -> str:
        """The variable that holds it."""
        return f"m{self.number}"

    def need(self) -> int:
        """Where in its frame the position is found."""
        self.needed = True
        return self.frame.slot(self.name)


@dataclasses.dataclass(eq=False, slots=True)
class Place:
    """One place of the binary."""

    type: Type
    frame: Frame
    number: int
    before: Mark
    after: Mark
    below: "list[Place]"  # fields of a record, branches of a union, the item of an array or map
    opaque: bool = False  # nothing inside can be marked: it is read and let go
    value_needed: bool = False
    item_frame: Frame | None = None  # of an array or map

    @property
    def value_name(self) -> str:
        """The variable that holds the value."""
        return f"v{self.number}"

    @property
    def text_name(self) -> str:
        """The variable that holds where the text of a string begins, behind its length."""
        return f"b{self.number}"

    @property
    def items_name(self) -> str:
        """The variable that holds the tuples of the items."""
        return f"l{self.number}"

    def need_value(self) -> int:
        """Where in its frame the decoded value is found; None stands there for null, here or above."""
        self.value_needed = True
        return self.frame.slot(self.value_name)

    def need_text(self) -> tuple[int, int]:
        """Where in its frame the beginning and the end of a string's text are found; None begins what is null above."""
        return self.frame.slot(self.text_name), self.after.need()

    def need_items(self) -> int:
        """Where in its frame the list of the items' tuples is found; None stands there for null above."""
        return self.frame.slot(self.items_name)

    def inside(self) -> "Iterator[Place]":
        """This place and every one below."""
        yield self
        for place in self.below:
            yield from place.inside()


class Places:
    """The tree of places of one writer schema."""

    def __init__(self, writer: Type) -> None:
        """Lay the places out.

        Raises:
            Unsuited: the event is not a record that can be walked.
        """
        self.frame = Frame()
        self._count = 0
        self._open: list[Type] = []
        self.root = self._place(writer, self.frame, self._mark(self.frame))
        if not isinstance(writer, Record) or self.root.opaque:
            raise Unsuited

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _mark(self, frame: Frame) -> Mark:
        return Mark(frame, self._number())

    def _place(self, of: Type, frame: Frame, before: Mark) -> Place:
        place = Place(of, frame, self._number(), before, before, [])
        if isinstance(of, Record):
            if of.recursive:
                place.opaque, place.after = True, self._mark(frame)
                return place
            for field in of.fields:
                place.below.append(self._place(field.type, frame, place.after))
                place.after = place.below[-1].after
        elif isinstance(of, Union):
            for branch in of.branches:
                place.below.append(self._place(branch, frame, self._mark(frame)))
            place.after = self._mark(frame)
        elif isinstance(of, Array | Map):
            place.after = self._mark(frame)
            if frame.depth >= _DEEPEST:
                place.opaque = True
                return place
            inner = place.item_frame = Frame(frame.depth + 1)
            start = self._mark(inner)
            if isinstance(of, Map):
                place.below.append(self._place(Scalar("string"), inner, start))
                start = place.below[0].after
            place.below.append(self._place(of.items if isinstance(of, Array) else of.values, inner, start))
        elif not is_null(of):
            place.after = self._mark(frame)
        return place


# How the reader's schema sees the places.


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Same:
    """Reader and writer have the same bytes here."""

    place: Place


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """The writer did not know the field: its default stands for it."""

    type: Type
    binary: bytes


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Rearranged:
    """A record whose fields the reader has in another order, or others."""

    fields: "dict[str, View]"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OtherOrNull:
    """A nullable place, in both schemas, whose other branch is seen differently."""

    place: Place
    other: "View"


View = Same | Missing | Rearranged | OtherOrNull


def view(place: Place, reader: Type) -> View:
    """How ``reader`` sees what was written at ``place`` (Avro 1.12, "Schema Resolution").

    Raises:
        Unsuited: only by decoding.
    """
    writer = place.type
    if _same(writer, reader, ()):
        return Same(place)
    if isinstance(writer, Record) and isinstance(reader, Record) and not (place.opaque or reader.recursive):
        written = {field.name: below for field, below in zip(writer.fields, place.below, strict=True)}
        return Rearranged({field.name: _field(written.get(field.name), field) for field in reader.fields})
    if isinstance(writer, Union) and isinstance(reader, Union):
        other, own = reader.nullable(), writer.nullable()
        if other is not None and own is not None and other[0] == own[0]:
            return OtherOrNull(place, view(place.below[own[0]], other[1]))
    raise Unsuited


def _field(written: Place | None, field: Field) -> View:
    if written is not None:
        return view(written, field.type)
    if field.default is NO_DEFAULT:
        raise Unsuited
    return Missing(field.type, default_bytes(field.type, field.default, field.name))


def _same(writer: Type, reader: Type, inside: tuple[Any, ...]) -> bool:  # noqa: PLR0911  a return a kind of type
    """Whether every binary of ``writer`` is one of ``reader`` with the same meaning."""
    if writer is reader:
        return True
    if isinstance(writer, Scalar) and isinstance(reader, Scalar):
        if (writer.kind, reader.kind) == ("int", "long"):
            return writer.logical is None and reader.logical is None
        return _traits(writer) == _traits(reader)
    if isinstance(writer, Enum) and isinstance(reader, Enum):
        return reader.symbols[: len(writer.symbols)] == writer.symbols
    if isinstance(writer, Record) and isinstance(reader, Record):
        if (writer, reader) in inside:
            return True
        return [field.name for field in writer.fields] == [field.name for field in reader.fields] and all(
            _same(one.type, other.type, (*inside, (writer, reader)))
            for one, other in zip(writer.fields, reader.fields, strict=True)
        )
    if isinstance(writer, Union) and isinstance(reader, Union):
        return len(writer.branches) == len(reader.branches) and all(
            _same(one, other, inside) for one, other in zip(writer.branches, reader.branches, strict=True)
        )
    if isinstance(writer, Array) and isinstance(reader, Array):
        return _same(writer.items, reader.items, inside)
    return isinstance(writer, Map) and isinstance(reader, Map) and _same(writer.values, reader.values, inside)


def _traits(of: Scalar) -> tuple[Any, ...]:
    return of.kind, of.logical, of.precision, of.scale, of.size
