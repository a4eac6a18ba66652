"""The fast forms of conditions give CEL's verdicts: a differential test, and what has a fast form at all."""

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.conditions import Condition, ConditionError, ConditionFailed
from schemas.load import load

FOLDER = Path(__file__).parents[2] / "schemas" / "catalogue"

MOMENT = {"type": "long", "logicalType": "timestamp-micros"}
TIME = {"type": "int", "logicalType": "time-millis"}
SEX = {"type": "enum", "name": "Sex", "symbols": ["MALE", "FEMALE"]}
TEXTS = {"type": "array", "items": "string"}
NOTES = {"type": "array", "items": {"type": "record", "name": "Note", "fields": [{"name": "on", "type": MOMENT}]}}


def nullable(of: Any) -> list[Any]:
    return ["null", of]


def fields(**types: Any) -> list[dict[str, Any]]:
    return [{"name": name, "type": of} for name, of in types.items()]


PERSON = {"type": "record", "name": "Person", "fields": fields(nik="string", age="int", phone=nullable("string"))}
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": fields(
        name="string",
        alias=nullable("string"),
        sex=SEX,
        weight="int",
        serial=nullable("long"),
        height="double",
        ratio=nullable("double"),
        twins="boolean",
        paid=nullable("boolean"),
        born={"type": "int", "logicalType": "date"},
        at=MOMENT,
        seen=nullable(MOMENT),
        opens=TIME,
        closes=nullable(TIME),
        letter={"type": "string", "logicalType": "uuid"},
        fee={"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        photo="bytes",
        codes=TEXTS,
        tags=nullable(TEXTS),
        gaps={"type": "array", "items": nullable("string")},
        notes=NOTES,
        scans=nullable({"type": "array", "items": MOMENT}),
        scores={"type": "map", "values": "int"},
        either=["null", "string", "int"],
        mother=PERSON,
        father=nullable("Person"),
    ),
}
OF_KIND = {
    "text": (
        *("data.name", "data.alias", "data.sex", "data.letter", "data.mother.nik", "data.mother.phone"),
        *("data.father.nik", "data.father.phone", "event.type", "event.subject"),
    ),
    "int": ("data.weight", "data.serial", "data.mother.age", "data.father.age"),
    "double": ("data.height", "data.ratio"),
    "bool": ("data.twins", "data.paid"),
    "moment": ("data.born", "data.at", "data.seen", "event.time"),
    "duration": ("data.opens", "data.closes"),
    "texts": ("data.codes", "data.tags", "data.gaps"),
    "list": ("data.notes",),
    "other": ("data.fee", "data.photo", "data.scans", "data.scores", "data.either", "data.father"),
}
NAMES = tuple(name for names in OF_KIND.values() for name in names)

WORDS = ("", "32", "3273", "MALE", "Ćulibrk", "\U0001f600", "\uffff", "32\U0001f600", "a b", "32\0", "\0", "a\nb")
LONGS = (0, 1, 2, -1, 50, 2**53 + 1, 2**63 - 1, -(2**63))
REALS = (0.0, -0.0, 1.0, 1.5, -2.5, 1e300, 5e-324, 2.0**63, math.nan, math.inf, -math.inf)
INSTANTS = tuple(
    dt.datetime(year, month, 1, 0, 0, second, micros, tzinfo=dt.UTC)
    for year in (1, 1899, 1900, 2026, 2199, 2200, 2600, 9999)
    for month in (1, 12)
    for second, micros in ((0, 0), (59, 999_999))
)
JAKARTA = dt.timezone(dt.timedelta(hours=7))
SPANS = (dt.timedelta(), dt.timedelta(hours=8), dt.timedelta(hours=23, microseconds=999_999))
# What is no value of its field, but may come all the same; CEL's word on it must be kept too.
ODD = (None, True, 0, 1, 1.0, 2**63, "", "32", "\ud800", b"32", (), dt.timedelta(days=-1), dt.datetime.max)

text = st.sampled_from(WORDS) | st.text(max_size=4)
moment = st.sampled_from(INSTANTS) | st.datetimes(timezones=st.sampled_from((dt.UTC, JAKARTA)))
VALUES: dict[str, SearchStrategy[Any]] = {
    "text": text,
    "int": st.sampled_from(LONGS) | st.integers(-(2**63), 2**63 - 1),
    "double": st.sampled_from(REALS) | st.floats(),
    "bool": st.booleans(),
    "moment": moment,
    "duration": st.sampled_from(SPANS) | st.timedeltas(dt.timedelta(), dt.timedelta(hours=23, minutes=59)),
    "texts": st.lists(text, max_size=3),
    "list": st.lists(st.just({"on": "2026-01-01"}), max_size=3),
    "other": st.sampled_from(("1.50", b"\x01", [INSTANTS[3]], {"maths": 8}, 3, "three", {"nik": "32"})),
}
KINDS = {name: kind for kind, names in OF_KIND.items() for name in names}


def values_of(condition: Condition) -> SearchStrategy[tuple[Any, ...]]:
    """Mostly such values as the names' fields have, null among them; now and then any other."""

    def one(name: str) -> SearchStrategy[Any]:
        usual = VALUES[KINDS[name]]
        return st.integers(0, 9).flatmap(
            lambda dice: st.sampled_from((*ODD, [None], ["32", 5])) if not dice else st.none() if dice == 1 else usual
        )

    return st.tuples(*(one(".".join(steps)) for steps in condition.names))


def literal(word: str) -> SearchStrategy[str]:
    quotes = [quote for quote in "'\"" if quote not in word and "\n" not in word and "\\" not in word]
    return st.sampled_from([f"{quote}{word}{quote}" for quote in quotes or ["'"]]) if quotes else st.just("'x'")


INSTANT = st.sampled_from((1, 1900, 2026, 9999)).map(lambda year: f'timestamp("{year:04}-01-01T00:00:00Z")')
LITERALS: dict[str, SearchStrategy[str]] = {
    "text": text.flatmap(literal),
    "int": st.sampled_from(LONGS).map(str),
    "double": st.sampled_from([repr(real) for real in REALS if math.isfinite(real)]),
    "bool": st.sampled_from(("true", "false")),
    "moment": INSTANT,
    "duration": st.just('duration("8h")'),
}
ORDERED = tuple(LITERALS)


@st.composite
def operands(draw: st.DrawFn, kind: str) -> str:
    form = draw(st.integers(0, 5))
    if kind == "int" and form == 0:
        of = draw(st.sampled_from((*OF_KIND["text"], *OF_KIND["texts"], *OF_KIND["list"])))
        return draw(st.sampled_from((f"size({of})", f"{of}.size()")))
    return draw(LITERALS[kind] if form == 1 else st.sampled_from(OF_KIND[kind]))


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(ORDERED))
    left, right = draw(operands(kind)), draw(operands(kind))
    return f"{left} {draw(st.sampled_from(('==', '!=', '<', '<=', '>', '>=')))} {right}"


@st.composite
def null_comparisons(draw: st.DrawFn) -> str:
    name, sign = draw(st.sampled_from(NAMES)), draw(st.sampled_from(("==", "!=")))
    return draw(st.sampled_from((f"{name} {sign} null", f"null {sign} {name}")))


@st.composite
def memberships(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(("text", "int", "double", "bool")))
    if kind == "text" and draw(st.booleans()):
        return f"{draw(operands(kind))} in {draw(st.sampled_from(OF_KIND['texts']))}"
    items = ", ".join(draw(st.lists(LITERALS[kind], min_size=1, max_size=3)))
    return f"{draw(operands(kind))} in [{items}]"


@st.composite
def methods(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(("startsWith", "endsWith", "contains")))
    return f"{draw(operands('text'))}.{name}({draw(operands('text'))})"


def compounds(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(("&&", "||", "==", "!=", "<")), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("!({})".format),
    )


simple = st.one_of(comparisons(), null_comparisons(), memberships(), methods(), operands("bool"))
expressions = st.recursive(simple | simple.map("({})".format), compounds, max_leaves=5)


def outcome(of: Callable[..., bool], values: tuple[Any, ...]) -> bool | str:
    try:
        verdict = of(*values)
    except ConditionFailed as error:
        return str(error)
    assert verdict.__class__ is bool
    return verdict


@settings(max_examples=300, deadline=None)
@given(expressions, st.data())
def test_the_fast_form_is_of_one_mind_with_the_judge(expression: str, data: st.DataObject) -> None:
    try:
        condition = Condition(expression, SCHEMA)
    except ConditionError:
        return  # CEL refuses it, so no agreement has it
    for values in data.draw(st.lists(values_of(condition), min_size=1, max_size=6)):
        assert outcome(condition.holds, values) == outcome(condition.judged, values), values
