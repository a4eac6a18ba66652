"""The common forms of conditions as Python functions: the same verdicts as CEL's, about forty times as quick.

CEL stays the judge of meaning. A function is made only of forms whose meaning is the same in both, over values for
which that is so; it asks the judge about all others, and about all that CEL would call an error. Where there is no such
form, the judge decides alone. What is left to the judge although it looks simple:

- texts that hold U+0000, at which the binding cuts them off, and lone surrogates, which it refuses;
- bytes, for the first of these reasons; numbers of different types; arithmetic;
- moments before 1900 and after 2199: the binding takes their seconds as a float, which rounds late ones up.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.condition_parser import ANY, Parser, Part, Unsure
from schemas.condition_values import Variable

Judge = Callable[..., bool]

# The values of a CEL type over which the forms mean what they mean in CEL. Printable: no U+0000, no surrogate.
_GUARDS: Final[Mapping[str, str]] = {
    "BOOL": "{0}.__class__ is bool",
    "INT": "{0}.__class__ is int and LEAST <= {0} <= MOST",
    "DOUBLE": "{0}.__class__ is float",
    "STRING": "{0}.__class__ is str and {0}.isprintable()",
    "TIMESTAMP": "{0}.__class__ is datetime and {0}.tzinfo.__class__ is timezone and 1900 <= {0}.year < 2200",
    "DURATION": "{0}.__class__ is timedelta and {0}.days == 0",
    "LIST<STRING>": "{0}.__class__ is list and ''.join({0}).isprintable()",
    "LIST<DYN>": "{0}.__class__ is list",
    ANY: "({0}.__class__ in NESTED or {0}.__class__ is str and {0}.isprintable())",
}
_SCOPE: Final[Mapping[str, Any]] = {
    "__builtins__": {},
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list": list,
    "len": len,
    "datetime": dt.datetime,
    "timezone": dt.timezone,
    "timedelta": dt.timedelta,
    "LEAST": -(2**63),
    "MOST": 2**63 - 1,
    "NESTED": frozenset({dict, list, bytes}),
    "TRUTH": {True: True, False: False},  # null has none
    "NOT_ALIKE": (TypeError, AttributeError, KeyError),  # what null raises where a value is needed
}


@dataclasses.dataclass(frozen=True, slots=True)
class Inlet:
    """How a function of other arguments comes by the variables' values: Python code made of our own names only."""

    arguments: str
    values: Sequence[str]
    scope: Mapping[str, Any]


def fast_form(expression: str, variables: Sequence[Variable], judge: Judge, inlet: Inlet | None = None) -> Judge | None:
    """A function of the variables' values that gives the judge's verdicts, or None where no such form is known.

    Args:
        expression: one that CEL has checked against the schema.
        variables: what its names stand for, in the order of the function's arguments.
        judge: CEL's own answer, of the variables' values.
        inlet: for a function of other arguments.
    """
    names = [f"v{number}" for number in range(len(variables))]
    inlet = inlet or Inlet(", ".join(names), names, {})
    try:
        parts = {of.steps: _named(name, of) for name, of in zip(names, variables, strict=True)}
        parser = Parser(expression, parts)
        verdict = parser.whole().truth()
        guards = [_guard(part) for part in parts.values()]
        reads = "".join(f" {name} = {value}\n" for name, value in zip(names, inlet.values, strict=True))
        source = (
            f"def holds({inlet.arguments}):\n"
            f"{reads}"
            f" try:\n"
            f"  if {' and '.join(guards) or 'True'}:\n"
            f"   return {verdict}\n"
            f" except NOT_ALIKE:\n"
            f"  pass\n"
            f" return judge({', '.join(names)})\n"
        )
        scope = {**_SCOPE, **inlet.scope, **parser.constants, "judge": judge}
        exec(source, scope)  # noqa: S102  the source is our own code and names, never the expression's text
    except (Unsure, RecursionError, SyntaxError, MemoryError):  # all but the first: nested too deeply
        return None
    return scope["holds"]  # type: ignore[no-any-return]  # defined by the source


def _named(name: str, of: Variable) -> Part:
    kind = of.declared.name()
    if kind not in _GUARDS:
        if not of.is_dynamic:
            raise Unsure
        kind = ANY
    return Part(name, kind, of.may_be_null)


def _guard(part: Part) -> str:
    guard = _GUARDS[part.kind].format(part.code)
    return f"({part.code} is None or {guard})" if part.may_be_null else guard
