"""Avro values to bytes and back, strictly: what does not match the schema is refused, whole."""

import decimal
import io
from typing import Any

import fastavro

from .checker import check
from .errors import InvalidSchema, MalformedData, Problem
from .types import Names
from .walker import Walker

_DECODING_ERRORS = (
    ValueError,
    OverflowError,
    EOFError,
    LookupError,
    TypeError,
    RecursionError,
    decimal.InvalidOperation,
)


class Codec:
    """One Avro schema, compiled.

    Values are as fastavro has them: records as dicts, decimals as ``Decimal``, dates and aware ``datetime``.

    Attributes:
        schema: the schema as parsed JSON.
        names: its named types.
    """

    def __init__(self, schema: Any) -> None:
        """Compile a schema.

        Raises:
            InvalidSchema: it is not a valid Avro schema.
        """
        self.schema = schema
        try:
            self.names = Names(schema)
            self._parsed = fastavro.parse_schema(schema, _write_hint=False)
            self._walk = Walker(schema, self.names)
        except InvalidSchema:
            raise
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            fastavro.schema.SchemaParseException,
        ) as error:
            raise InvalidSchema(f"not an Avro schema: {error}") from error

    def check(self, data: Any) -> list[Problem]:
        """Everything that keeps ``data`` from being written."""
        problems: list[Problem] = []
        check(self.names, self.schema, data, lambda *problem: problems.append(Problem(*problem)))
        return problems

    def encode(self, data: Any) -> bytes:
        """Avro binary of ``data``.

        Raises:
            MalformedData: with every problem.
        """
        if problems := self.check(data):
            raise MalformedData(problems)
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._parsed, data)
        return out.getvalue()

    def decode(self, body: bytes, reader: "Codec | None" = None) -> Any:
        """The value of Avro binary, read as ``reader``'s schema where one is given (Avro schema resolution).

        Raises:
            MalformedData: the bytes are not exactly one value of the schema.
        """
        self._walk(body)
        try:
            return fastavro.schemaless_reader(
                io.BytesIO(body),
                self._parsed,
                None if reader is None else reader._parsed,
            )
        except (*_DECODING_ERRORS, fastavro.read.SchemaResolutionError) as error:
            raise MalformedData(
                [Problem("", "value", f"a value is out of its type's range ({type(error).__name__})")]
            ) from None
