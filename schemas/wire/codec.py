"""Avro values to bytes and back, strictly: what does not match the schema is refused, whole."""

import functools
import io
from collections.abc import Callable
from typing import Any

import fastavro

from .decoder import Fault, decoder_of
from .encoder import BadDefault, encoder_of
from .errors import InvalidSchema, MalformedData, Problem
from .logical_types import Unsound
from .scalars import Run
from .types import read_schema


class Codec:
    """One Avro schema, compiled; not to be changed once made.

    Values are as fastavro has them: records as dicts, decimals as ``Decimal``, dates as ``date``, timestamps as aware
    ``datetime``. Digits of a time below its unit are cut.

    Attributes:
        schema: the schema as parsed JSON.
        type: the schema as a tree.
    """

    def __init__(self, schema: Any) -> None:
        """Compile a schema given as parsed JSON.

        Raises:
            InvalidSchema: it is not a valid Avro schema; says what is wrong and where.
        """
        self.schema = schema
        self.type = read_schema(schema)
        try:
            self._encode = encoder_of(self.type)
        except BadDefault as error:
            raise InvalidSchema(str(error)) from None
        except RecursionError:
            raise InvalidSchema("a default holds itself") from None
        self._decode = decoder_of(self.type, strict=True)

    def check(self, data: Any) -> list[Problem]:
        """Everything that keeps ``data`` from being encoded."""
        return list(self._encode(data, bytearray(), Run()))

    def encode(self, data: Any) -> bytes:
        """Avro binary of ``data``; fields that are missing are given their defaults.

        Raises:
            MalformedData: with every problem.
        """
        out = bytearray()
        if problems := self._encode(data, out, Run()):
            raise MalformedData(problems)
        return bytes(out)

    def decode(self, body: bytes, reader: "Codec | None" = None) -> Any:
        """The value of Avro binary, read as ``reader``'s schema where one is given (Avro 1.12, "Schema Resolution").

        Raises:
            MalformedData: the bytes are not exactly one value of the schema, an identifier breaks its rules, or the
                value cannot be read as ``reader``'s schema.
        """
        try:
            value = self._decode(body)
        except Fault as fault:
            raise MalformedData([fault.problem]) from None
        except Unsound as error:
            raise MalformedData(self._unsound(body) or [error.problem]) from None
        if reader is None or reader is self or reader.schema == self.schema:
            return value
        return self._resolve(body, reader)

    def _unsound(self, body: bytes) -> list[Problem]:
        """Every value that a logical type forbids, or what makes the bytes behind the first of them unreadable."""
        try:
            return self.check(self._lenient(body))
        except Fault as fault:
            return [fault.problem]

    def _resolve(self, body: bytes, reader: "Codec") -> Any:
        try:
            value = fastavro.schemaless_reader(io.BytesIO(body), self._parsed, reader._parsed)
        except (fastavro.read.SchemaResolutionError, ValueError, TypeError, LookupError, OverflowError):
            raise MalformedData([Problem("", "resolution", "cannot be read as the current schema")]) from None
        if problems := reader.check(value):  # logical types of the reader that the writer did not know
            raise MalformedData(problems)
        return value

    @functools.cached_property
    def _lenient(self) -> Callable[[bytes], Any]:
        return decoder_of(self.type, strict=False)

    @functools.cached_property
    def _parsed(self) -> Any:
        try:
            return fastavro.parse_schema(self.schema, _write_hint=False)
        except (fastavro.schema.SchemaParseException, KeyError, TypeError, ValueError) as error:
            raise InvalidSchema(f"fastavro does not take it: {error}") from error
