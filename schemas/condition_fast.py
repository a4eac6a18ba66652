"""The common forms of conditions as Python functions: the same verdicts as CEL's, some fifteen times as quick.

CEL stays the judge of meaning. A function is made only of forms whose meaning is the same in both, over values for
which that is so; it asks the judge about all others, and about all that CEL would call an error. Where there is no such
form, the judge decides alone. What is left to the judge although it looks simple:

- texts that hold U+0000, at which the binding cuts them off, and lone surrogates, which it refuses;
- bytes, for the first of these reasons; numbers of different types; arithmetic;
- moments before 1900 and after 2199: the binding takes their seconds as a float, which rounds late ones up.
"""

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.condition_values import Variable

Judge = Callable[..., bool]

_TOKEN: Final = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\"[^\"\\]*\"|'[^'\\]*'|&&|\|\||[=!<>]=|[][<>!(),.-])|$)",
    re.ASCII,
)
_LEVELS: Final = {"||": 1, "&&": 2} | dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3)
_BOOLEANS: Final = {"true": True, "false": False}
_METHODS: Final = {"startsWith": "{0}.startswith({1})", "endsWith": "{0}.endswith({1})", "contains": "({1} in {0})"}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

_ANY: Final = "ANY"  # a value that can only be compared with null
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
    _ANY: "({0}.__class__ in NESTED or {0}.__class__ is str and {0}.isprintable())",
}
_LISTS: Final = ("LIST<STRING>", "LIST<DYN>")
_COMPARABLE: Final = frozenset(_GUARDS) - {_ANY, *_LISTS}
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


class _Unsure(Exception):
    """The expression, or a part of it, has no form that is surely the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: Python code made of our own names, and the CEL type of its value, which may be null."""

    code: str
    kind: str
    may_be_null: bool = False

    def truth(self) -> str:
        """The code where only true or false will do."""
        if self.kind != "BOOL":
            raise _Unsure
        return f"TRUTH[{self.code}]" if self.may_be_null else self.code

    def text(self) -> str:
        """The code where only a text will do."""
        if self.kind != "STRING":
            raise _Unsure
        return self.code


def fast_form(expression: str, variables: Sequence[Variable], judge: Judge) -> Judge | None:
    """A function of the variables' values that gives the judge's verdicts, or None where no such form is known.

    Args:
        expression: one that CEL has checked against the schema.
        variables: what its names stand for, in the order of the function's arguments.
        judge: CEL's own answer, of the same arguments.
    """
    names = [f"v{number}" for number in range(len(variables))]
    try:
        parts = {of.steps: _named(name, of) for name, of in zip(names, variables, strict=True)}
        parser = _Parser(expression, parts)
        verdict = parser.whole().truth()
        guards = [_guard(part) for part in parts.values()]
        arguments = ", ".join(names)
        source = (
            f"def holds({arguments}):\n"
            f" try:\n"
            f"  if {' and '.join(guards) or 'True'}:\n"
            f"   return {verdict}\n"
            f" except NOT_ALIKE:\n"
            f"  pass\n"
            f" return judge({arguments})\n"
        )
        scope = {**_SCOPE, **parser.constants, "judge": judge}
        exec(source, scope)  # noqa: S102  the source is made of the code and the names in this file alone
    except (_Unsure, RecursionError, SyntaxError, MemoryError):  # all but the first: nested too deeply
        return None
    return scope["holds"]  # type: ignore[no-any-return]  # defined by the source


def _named(name: str, of: Variable) -> _Part:
    kind = of.declared.name()
    if kind not in _GUARDS:
        if not of.is_dynamic:
            raise _Unsure
        kind = _ANY
    return _Part(name, kind, of.may_be_null)


def _guard(part: _Part) -> str:
    guard = _GUARDS[part.kind].format(part.code)
    return f"({part.code} is None or {guard})" if part.may_be_null else guard


class _Parser:
    """Reads an expression once, from left to right.

    Attributes:
        constants: the literals that the code names.
    """

    def __init__(self, expression: str, names: Mapping[tuple[str, ...], _Part]) -> None:
        self.constants: dict[str, Any] = {}
        self._names = names
        self._tokens = [*_tokens(expression), ""]
        self._at = 0

    def whole(self) -> _Part:
        """The whole expression."""
        part = self._binary(1)
        self._expect("")
        return part

    @property
    def _ahead(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._ahead
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise _Unsure

    def _binary(self, level: int) -> _Part:
        """Operators that bind at least so tightly; those of one level are taken from the left."""
        left = self._unary()
        while (found := _LEVELS.get(self._ahead, 0)) >= level:
            sign = self._next()
            left = _joined(sign, left, self._binary(found + 1))
        return left

    def _unary(self) -> _Part:
        if self._ahead == "!":
            self._next()
            return _Part(f"(not {self._unary().truth()})", "BOOL")
        part = self._primary()
        while self._ahead == ".":
            self._next()
            part = self._method(part, self._next())
        return part

    def _method(self, of: _Part, name: str) -> _Part:
        self._expect("(")
        if name == "size":
            self._expect(")")
            return _size(of)
        argument = self._binary(1)
        self._expect(")")
        if name not in _METHODS:
            raise _Unsure
        return _Part(_METHODS[name].format(of.text(), argument.text()), "BOOL")

    def _primary(self) -> _Part:
        token = self._next()
        if token == "(":  # noqa: S105  a bracket
            part = self._binary(1)
            self._expect(")")
            return part
        if token == "[":  # noqa: S105  a bracket
            return self._list()
        if token in ("data", "event"):
            return self._name(token)
        if token in ("size", "timestamp"):
            self._expect("(")
            part = _size(self._binary(1)) if token == "size" else self._instant()  # noqa: S105  a function
            self._expect(")")
            return part
        if token == "null":  # noqa: S105  a literal
            return _Part("None", "NULL")
        self._at -= 1
        return self._constant(*self._literal())

    def _name(self, root: str) -> _Part:
        steps = [root]
        while self._ahead == "." and self._tokens[self._at + 2] != "(":
            self._next()
            steps.append(self._next())
        if tuple(steps) not in self._names:
            raise _Unsure  # it goes on into a list or map
        return self._names[tuple(steps)]

    def _list(self) -> _Part:
        """A list of literals of one type; it can only stand to the right of ``in``."""
        literals = [self._literal()]
        while self._ahead == ",":
            self._next()
            literals.append(self._literal())
        self._expect("]")
        kinds = {kind for _, kind in literals}
        if len(kinds) != 1:
            raise _Unsure
        return self._constant(frozenset(value for value, _ in literals), f"ONE OF {kinds.pop()}")

    def _instant(self) -> _Part:
        text, _ = self._literal()
        if not (isinstance(text, str) and _INSTANT.fullmatch(text)):
            raise _Unsure
        try:
            return self._constant(dt.datetime.fromisoformat(text), "TIMESTAMP")
        except ValueError:
            raise _Unsure from None

    def _literal(self) -> tuple[Any, str]:
        token = self._next()
        return _literal(token + self._next() if token == "-" else token)  # noqa: S105  a sign

    def _constant(self, value: Any, kind: str) -> _Part:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return _Part(name, kind)


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _Unsure
        if match[1]:
            tokens.append(match[1])
        at = match.end()
    return tokens


def _literal(token: str) -> tuple[Any, str]:
    """The value and CEL type of a text, a number, true or false."""
    if token in _BOOLEANS:
        return _BOOLEANS[token], "BOOL"
    if token[:1] in ("'", '"') and token.isprintable():
        return token[1:-1], "STRING"
    if re.fullmatch(r"-?\d+", token, re.ASCII):
        return int(token), "INT"
    try:
        number = float(token) if re.match(r"-?\d", token, re.ASCII) else math.inf
    except ValueError:
        raise _Unsure from None
    if math.isinf(number):
        raise _Unsure
    return number, "DOUBLE"


def _joined(sign: str, left: _Part, right: _Part) -> _Part:
    """Two parts and the operator between them; Python's ``and`` and ``or`` stop as CEL's do."""
    if sign in ("&&", "||"):
        word = "and" if sign == "&&" else "or"
        return _Part(f"({left.truth()} {word} {right.truth()})", "BOOL")
    if sign == "in":
        if right.kind != f"ONE OF {left.kind}" and (left.kind, right.kind) != ("STRING", "LIST<STRING>"):
            raise _Unsure
    elif "NULL" in (left.kind, right.kind):
        if left.kind == right.kind or sign not in ("==", "!="):
            raise _Unsure
        sign = "is" if sign == "==" else "is not"
    elif left.kind != right.kind or left.kind not in _COMPARABLE:
        raise _Unsure
    return _Part(f"({left.code} {sign} {right.code})", "BOOL")


def _size(of: _Part) -> _Part:
    """How many characters or items; the size of null is an error in both."""
    if of.kind != "STRING" and of.kind not in _LISTS:
        raise _Unsure
    return _Part(f"len({of.code})", "INT")
