"""CEL expressions over a record: compiled once, evaluated for each."""

import datetime as dt
import decimal
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from connectors.mapping.problems import Unconvertible

_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_NOISE = re.compile(r" \(in container ''\)| \[INVALID_ARGUMENT\]")
# CEL's texts for what went wrong repeat values; these do not. The first that fits is told.
_REASONS: Final = (
    ("NOT_FOUND", "names a column or key that the record does not have"),
    ("overload", "meets a value that is null or of another type than it expects"),
    ("SELECT", "meets a value that is null or of another type than it expects"),
    ("ndex", "has an index past the end"),
    ("divide by zero", "divides by zero"),
    ("OUT_OF_RANGE", "meets a number out of range"),
    ("overflow", "meets a number out of range"),
    ("conver", "meets a value that cannot be converted"),
)
_ENVIRONMENT: Final = cel.NewEnv(
    variables={"record": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)},
    extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
)


class BadExpression(ValueError):
    """The expression does not compile; the text says where and why."""


class Computed:
    """One expression over ``record``, whose columns and keys are ``record.name`` or ``record["two words"]``."""

    def __init__(self, expression: str) -> None:
        """Compile it.

        Raises:
            BadExpression: it does not compile.
        """
        try:
            self._program = _ENVIRONMENT.compile(expression)
            if self._program.return_type().name().startswith("optional_type"):  # the binding cannot give such a value
                self._program = _ENVIRONMENT.compile(f"({expression}\n).orValue(null)")
        except RuntimeError as error:
            raise BadExpression(f"does not compile: {_explained(str(error))}") from None

    @property
    def may_be_boolean(self) -> bool:
        """Whether the result may be true or false, as far as can be told before."""
        return self._program.return_type().name() in ("DYN", "BOOL")

    def __call__(self, record: Mapping[str, Any]) -> Any:
        """The result for a record, as Python has it; an optional value that is absent is None.

        Args:
            record: with values that CEL knows: see `plain`.

        Raises:
            Unconvertible: it cannot be computed for this record.
        """
        try:
            result = self._program.eval(data={"record": record})
        except RuntimeError:
            raise Unconvertible("cel", "cannot be computed: it meets a value that CEL does not know") from None
        if result.type() == cel.Type.ERROR:
            text = str(result.value())
            reason = next((reason for part, reason in _REASONS if part in text), "CEL met an error")
            raise Unconvertible("cel", f"cannot be computed: the expression {reason}")
        try:
            return result.plain_value()
        except TypeError:
            raise Unconvertible("cel", "cannot be computed: it gives an optional value") from None


def plain(value: Any) -> Any:
    """A value as CEL takes it: dates, durations and decimals are texts."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID | dt.timedelta) else value


def _explained(text: str) -> str:
    place = _PLACE.search(text)
    if place is None:
        return text.splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
    hint = "; columns are record.<name>" if "undeclared reference" in place[3] else ""
    return f"line {place[1]}, column {place[2]}: {_NOISE.sub('', place[3])}{hint}"
