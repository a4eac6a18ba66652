"""The forms of CEL whose meaning is the same in Python, written as Python.

Precedence climbing over CEL's operators (CEL specification, "Syntax"): ``== != < <= > >= in`` all bind alike, from the
left. Types are those of CEL; two values are put together only where both have the same one.
"""

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any, Final

ANY: Final = "ANY"  # the type of a value that can only be compared with null

_TOKEN: Final = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\"[^\"\\]*\"|'[^'\\]*'|&&|\|\||[=!<>]=|[][<>!(),.-])|$)",
    re.ASCII,
)
_LEVELS: Final = {"||": 1, "&&": 2} | dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3)
_BOOLEANS: Final = {"true": True, "false": False}
_METHODS: Final = {"startsWith": "{0}.startswith({1})", "endsWith": "{0}.endswith({1})", "contains": "({1} in {0})"}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_LISTS: Final = ("LIST<STRING>", "LIST<DYN>")
_COMPARABLE: Final = frozenset({"BOOL", "INT", "DOUBLE", "STRING", "TIMESTAMP", "DURATION"})


class Unsure(Exception):
    """The expression, or a part of it, has no form that is surely the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression: Python code made of our own names, and the CEL type of its value, which may be null."""

    code: str
    kind: str
    may_be_null: bool = False

    def truth(self) -> str:
        """The code where only true or false will do."""
        if self.kind != "BOOL":
            raise Unsure
        return f"TRUTH[{self.code}]" if self.may_be_null else self.code

    def text(self) -> str:
        """The code where only a text will do."""
        if self.kind != "STRING":
            raise Unsure
        return self.code


class Parser:
    """Reads an expression once, from left to right.

    Attributes:
        constants: the literals that the code names.
    """

    def __init__(self, expression: str, names: Mapping[tuple[str, ...], Part]) -> None:
        self.constants: dict[str, Any] = {}
        self._names = names
        self._tokens = [*_tokens(expression), ""]
        self._at = 0

    def whole(self) -> Part:
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
            raise Unsure

    def _binary(self, level: int) -> Part:
        """Operators that bind at least so tightly; those of one level are taken from the left."""
        left = self._unary()
        while (found := _LEVELS.get(self._ahead, 0)) >= level:
            sign = self._next()
            left = _joined(sign, left, self._binary(found + 1))
        return left

    def _unary(self) -> Part:
        if self._ahead == "!":
            self._next()
            return Part(f"(not {self._unary().truth()})", "BOOL")
        part = self._primary()
        while self._ahead == ".":
            self._next()
            part = self._method(part, self._next())
        return part

    def _method(self, of: Part, name: str) -> Part:
        self._expect("(")
        if name == "size":
            self._expect(")")
            return _size(of)
        argument = self._binary(1)
        self._expect(")")
        if name not in _METHODS:
            raise Unsure
        return Part(_METHODS[name].format(of.text(), argument.text()), "BOOL")

    def _primary(self) -> Part:
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
            return Part("None", "NULL")
        self._at -= 1
        return self._constant(*self._literal())

    def _name(self, root: str) -> Part:
        steps = [root]
        while self._ahead == "." and self._tokens[self._at + 2] != "(":
            self._next()
            steps.append(self._next())
        if tuple(steps) not in self._names:
            raise Unsure  # it goes on into a list or map
        return self._names[tuple(steps)]

    def _list(self) -> Part:
        """A list of literals of one type; it can only stand to the right of ``in``."""
        literals = [self._literal()]
        while self._ahead == ",":
            self._next()
            literals.append(self._literal())
        self._expect("]")
        kinds = {kind for _, kind in literals}
        if len(kinds) != 1:
            raise Unsure
        return self._constant(frozenset(value for value, _ in literals), f"ONE OF {kinds.pop()}")

    def _instant(self) -> Part:
        text, _ = self._literal()
        if not (isinstance(text, str) and _INSTANT.fullmatch(text)):
            raise Unsure
        try:
            return self._constant(dt.datetime.fromisoformat(text), "TIMESTAMP")
        except ValueError:
            raise Unsure from None

    def _literal(self) -> tuple[Any, str]:
        token = self._next()
        return _literal(token + self._next() if token == "-" else token)  # noqa: S105  a sign

    def _constant(self, value: Any, kind: str) -> Part:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return Part(name, kind)


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise Unsure
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
        raise Unsure from None
    if math.isinf(number):
        raise Unsure
    return number, "DOUBLE"


def _joined(sign: str, left: Part, right: Part) -> Part:
    """Two parts and the operator between them; Python's ``and`` and ``or`` stop as CEL's do."""
    if sign in ("&&", "||"):
        word = "and" if sign == "&&" else "or"
        return Part(f"({left.truth()} {word} {right.truth()})", "BOOL")
    if sign == "in":
        if right.kind != f"ONE OF {left.kind}" and (left.kind, right.kind) != ("STRING", "LIST<STRING>"):
            raise Unsure
    elif "NULL" in (left.kind, right.kind):
        if left.kind == right.kind or sign not in ("==", "!="):
            raise Unsure
        sign = "is" if sign == "==" else "is not"
    elif left.kind != right.kind or left.kind not in _COMPARABLE:
        raise Unsure
    return Part(f"({left.code} {sign} {right.code})", "BOOL")


def _size(of: Part) -> Part:
    """How many characters or items; the size of null is an error in both."""
    if of.kind != "STRING" and of.kind not in _LISTS:
        raise Unsure
    return Part(f"len({of.code})", "INT")
