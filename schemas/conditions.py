"""`when` and `require`: CEL expressions, type-checked against the event's schema, over ``event.*`` and ``data.*``.

``event.*`` are the CloudEvents attributes (those that an event lacks are null), ``data.*`` the fields of the payload;
dates are timestamps of their midnight in UTC, times of day durations since midnight, enums texts. A field below a
record that is null is null. Inside lists of records and inside maps, dates and times are ISO 8601 texts.

An expression is checked with message types made of the schema and evaluated over the fields that it names, flat: CEL's
nullable types can be checked but not evaluated in this binding, so what may be null is dynamic when evaluated.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cel_expr_python import cel

from schemas.condition_fast import Inlet, Judge, fast_form
from schemas.condition_types import MessageTypes
from schemas.condition_values import Variable, variable
from schemas.suggestions import did_you_mean

# A name of `data` or `event` with all that is selected from it; the last part may be a method.
_NAME = re.compile(r"(?<![\w.])(data|event)((?:\s*\.\s*[A-Za-z_]\w*)*)(\s*\()?")
_TEXT_OR_COMMENT = re.compile(
    r"//[^\n]*"
    r"|[bB]?[rR][bB]?(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|\"[^\"\n]*\")"
    r"|'''(?:\\.|.)*?'''|\"\"\"(?:\\.|.)*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"",
    re.DOTALL,
)
_HAS = re.compile(r"(?<![\w.])has\s*\(")
_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '(\S+)' applied to '(.*)'")
_UNDEFINED = re.compile(r"undefined field '(\w+)' not found in struct '([\w.]+)'")
_NO_DECIMALS: Final = (
    "CEL has no decimals: it can tell whether two are equal or one is null; for more, filter on an integer field"
)


class ConditionError(ValueError):
    """A CEL expression that does not fit the event type.

    Attributes:
        line, column: where in the expression, from 1.
        message: what is wrong.
    """

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.line = line
        self.column = column
        self.message = message


class ConditionFailed(ValueError):
    """A CEL expression that could not be computed for an event; the text holds no values."""


class Condition:
    """One expression, compiled for one schema.

    Attributes:
        expression: as it was written.
        variables: what the expression's names stand for, in a fixed order.
        names: the same names as their steps, such as ``("data", "child", "nik")``, up to a list or map.
        is_fast: whether the expression has a fast form; CEL decides alone where it has none.
        holds: whether the condition holds for the values of ``names``, in their order, each as ``Variable.read`` gives
            it: the quickest way to the verdict of ``judged``, and to its ConditionFailed.
    """

    def __init__(self, expression: str, schema: Any) -> None:
        """Check and compile an expression.

        Raises:
            ConditionError: it does not compile against the schema, or is not true or false.
        """
        code = _TEXT_OR_COMMENT.sub(lambda text: re.sub(r"[^\n]", " ", text[0]), expression)
        if has := _HAS.search(code):
            raise ConditionError(*_place(code, has.start()), "has() is not available: compare with null instead")
        named = _named(code)
        _check(expression, schema, named)
        by_name = {of.name: of for of in (variable(schema, name) for name in named)}
        self.variables: tuple[Variable, ...] = tuple(by_name.values())
        self.names: tuple[tuple[str, ...], ...] = tuple(of.steps for of in self.variables)
        self.expression = expression
        self._types = {name: of.type for name, of in by_name.items()}
        self._moments = [name for name, of in by_name.items() if of.needs_type]
        self._programs: dict[frozenset[str], Any] = {}  # by the moments that are null
        try:
            self._program(frozenset())
        except RuntimeError as error:
            raise ConditionError(1, 1, f"cannot be evaluated: {str(error).splitlines()[0]}") from None
        fast = fast_form(expression, self.variables, self.judged)
        self.is_fast = fast is not None
        self.holds: Judge = fast or self.judged

    def __call__(self, attributes: Mapping[str, str], data: Mapping[str, Any]) -> bool:
        """Whether the condition holds for an event.

        Args:
            attributes: CloudEvents attributes by name.
            data: the payload, as fastavro has it.

        Raises:
            ConditionFailed: CEL met an error, such as null where a number is needed.
        """
        return self.holds(*[of.read(attributes, data) for of in self.variables])

    def inlined(self, inlet: Inlet) -> Judge | None:
        """``holds`` as a function of other arguments, in one call; None where CEL decides alone."""
        return fast_form(self.expression, self.variables, self.judged, inlet)

    def judged(self, *values: Any) -> bool:
        """CEL's own answer for the values of ``names``.

        Raises:
            ConditionFailed: CEL met an error, such as null where a number is needed.
        """
        by_name = dict(zip(self._types, values, strict=True))
        nulls = frozenset([name for name in self._moments if by_name[name] is None])
        try:
            result = self._program(nulls).eval(data=by_name)
        except RuntimeError:
            raise ConditionFailed("cannot be computed: a value is null or of another type") from None
        if result.type() == cel.Type.BOOL:
            return bool(result.value())
        raise ConditionFailed(f"cannot be computed: {_reason(result)}")

    def _program(self, nulls: frozenset[str]) -> Any:
        program = self._programs.get(nulls)
        if program is None:
            types = {name: cel.Type.DYN if name in nulls else kind for name, kind in self._types.items()}
            program = self._programs[nulls] = cel.NewEnv(variables=types).compile(self.expression)
        return program


def _named(code: str) -> list[tuple[str, ...]]:
    """Every name below ``data`` and ``event``, as its steps, without methods."""
    found: dict[tuple[str, ...], None] = {}
    for match in _NAME.finditer(code):
        steps = tuple(step.strip() for step in match[2].split("."))[1:]
        if match[3]:
            steps = steps[:-1]
        if not steps:
            raise ConditionError(*_place(code, match.start()), f"name a field of it: {match[1]}.<name>")
        found[(match[1], *steps)] = None
    return list(found)


def _check(expression: str, schema: Any, named: Sequence[tuple[str, ...]]) -> None:
    types = MessageTypes(schema, [steps[1] for steps in named if steps[0] == "event"])
    variables = {"data": cel.Type(types.data), "event": cel.Type(types.event)}
    try:
        result = cel.NewEnv(descriptor_pool=types.pool, variables=variables).compile(expression).return_type()
    except RuntimeError as error:
        raise _explained(str(error), types) from None
    if result not in (cel.Type.BOOL, cel.Type.DYN):
        raise ConditionError(1, 1, f"must be true or false, but is {types.titled(str(result)).lower()}")


def _explained(text: str, types: MessageTypes) -> ConditionError:
    """CEL's first error, in words that a steward knows."""
    place = _PLACE.search(text)
    if place is None:
        return ConditionError(1, 1, text.splitlines()[0].removeprefix("INVALID_ARGUMENT: "))
    message = re.sub(r" \(in container ''\)| \[INVALID_ARGUMENT\]", "", place[3])
    if undefined := _UNDEFINED.search(message):
        hint = did_you_mean(undefined[1], types.fields_of(undefined[2]))
        message = f"{types.titled(undefined[2])} has no field {undefined[1]}{hint}"
    elif overload := _OVERLOAD.search(message):
        operands = re.sub(r"wrapper\((\w+)\)", r"\1 or null", overload[2].replace("null_type", "null"))
        message = f"{overload[1].strip('_@')} does not take {types.titled(operands)}"
        if "conditions.Decimal" in operands:
            message += f"; {_NO_DECIMALS}"
    elif "undeclared reference" in message:
        message += "; the payload is data.<field>, the envelope event.<attribute>"
    return ConditionError(int(place[1]), int(place[2]), types.titled(message))


def _place(code: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, from 1."""
    before = code[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _reason(result: Any) -> str:
    """Why CEL gave no boolean; its own text repeats values, so only its kind is told."""
    if result.type() != cel.Type.ERROR:
        return "the result is null or no boolean"
    text = str(result.value())
    for part, reason in (
        ("No matching overload", "a value is null or of another type"),
        ("SELECT", "a value is null or of another type"),
        ("NOT_FOUND", "a key is missing"),
        ("Index error", "an index is past the end"),
        ("divide by zero", "a division by zero"),
        ("OUT_OF_RANGE", "a number is out of range"),
        ("overflow", "a number is out of range"),
    ):
        if part in text:
            return reason
    return "a value cannot be converted" if "INVALID_ARGUMENT" in text else "CEL met an error"
