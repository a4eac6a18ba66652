"""The fast forms of conditions give CEL's verdicts: a differential test, and what has a fast form at all."""

import datetime as dt
import itertools
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
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
}

WORDS = ("", "32", "3273", "MALE", "Ćulibrk", "\U0001f600", "\uffff", "32\U0001f600", "a b", "32\0", "\0", "a\nb")
LONGS = (0, 1, 2, -1, 50, 2**53 + 1, 2**63 - 1, -(2**63))
REALS = (0.0, -0.0, 1.0, 1.5, -2.5, 1e300, 5e-324, 2.0**63, math.nan, math.inf, -math.inf)
INSTANTS = tuple(
    dt.datetime(year, month, 1, 0, 0, second, micros, tzinfo=dt.UTC)
    for year in (1, 1899, 1900, 2026, 2199, 2200, 2600, 9999)
    for month in (1, 12)
    for second, micros in ((0, 0), (59, 999_999))
)
LATE = dt.datetime(9990, 1, 1, 0, 0, 59, 999_999, tzinfo=dt.UTC)
JAKARTA = dt.timezone(dt.timedelta(hours=7))
SPANS = (dt.timedelta(), dt.timedelta(hours=8), dt.timedelta(hours=23, microseconds=999_999))
# What is no value of its field, but may come all the same; CEL's word on it must be kept too.
ODD = (None, True, 0, 1, 1.0, 2**63, "", "32", "\ud800", b"32", (), dt.timedelta(days=-1), dt.datetime(2026, 1, 1))  # noqa: DTZ001  a naive one is odd

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
}
OTHERS = {
    "data.fee": "1.50",
    "data.photo": b"\x01",
    "data.scans": [INSTANTS[6]],
    "data.scores": {"maths": 8},
    "data.either": "three",
    "data.father": {"nik": "32"},
}
BY_NAME = {name: VALUES[kind] for kind, names in OF_KIND.items() for name in names} | {
    name: st.just(value) for name, value in OTHERS.items()
}


def values_of(condition: Condition) -> SearchStrategy[tuple[Any, ...]]:
    """Mostly such values as the names' fields have, null among them; now and then any other."""

    def one(name: str) -> SearchStrategy[Any]:
        usual = BY_NAME[name]
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
    name, sign = draw(st.sampled_from(tuple(BY_NAME))), draw(st.sampled_from(("==", "!=")))
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


LEAVES = {"data.twins": (True, False), "data.paid": (True, False, None), "(data.serial > 0)": (1, 0, None)}
logic = st.recursive(
    st.sampled_from((*LEAVES, "!data.twins", "!data.paid")),
    lambda inner: (
        st.tuples(inner, st.sampled_from(("&&", "||")), inner).map(" ".join)
        | inner.map("({})".format)
        | inner.map("!({})".format)
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(logic)
def test_logic_over_errors_and_null_is_that_of_cel(expression: str) -> None:
    condition = Condition(expression, SCHEMA)
    assert condition.is_fast
    by_name = {leaf.strip("()").partition(" ")[0]: values for leaf, values in LEAVES.items()}
    for values in itertools.product(*(by_name[".".join(steps)] for steps in condition.names)):
        assert outcome(condition.holds, values) == outcome(condition.judged, values), values


@pytest.mark.parametrize(
    ("expression", "is_fast"),
    [
        ('data.sex == "MALE" && data.weight >= 2500', True),
        ("data.ratio >= -5.5 && data.ratio <= 1e3", True),
        ("data.twins || !data.paid", True),
        ('"A" in data.codes && size(data.notes) > 0 && data.tags.size() == 1', True),
        ("data.serial in [1, -2] && data.name in ['a']", True),
        ("data.father == null || data.father.age >= 17", True),
        ('data.at > data.born && event.time < timestamp("2026-01-01T00:00:00Z")', True),
        ("data.opens < data.closes", True),
        ("data.scans == data.scans", False),
        ("data.gaps[0] == null", False),
        ("data.scores.maths > 3", False),
        ("data.either == 3", False),
        ("data.weight % 2 == 0", False),
        ("data.photo == data.photo", False),
        ('data.name == "a\\u0041"', False),
        ('data.name == "a\u00a0b"', False),  # not printable
        ('data.name.matches("^a")', False),
        ('data.notes.exists(note, note.on > "2026")', False),
        ("data.weight > 1 ? data.twins : true", False),
        ("data.weight > 0x1F", False),
        ('data.name == """a"""', False),
        ('data.name == r"a"', False),
        ("data.twins // or not", False),
        ("(" * 25 + "data.twins" + ")" * 25, True),
        ("data.twins" + " || data.twins" * 240, False),  # nested too deeply for Python
    ],
)
def test_only_forms_that_are_surely_the_same_are_fast(expression: str, is_fast: bool) -> None:
    assert Condition(expression, SCHEMA).is_fast is is_fast


@pytest.mark.parametrize(
    ("expression", "values", "verdict"),
    [
        ('data.name == "a"', ("a\0b",), True),  # the binding cuts texts off at U+0000, and its word is kept
        ('data.name == "a"', ("\ud800",), "cannot be computed: a value is null or of another type"),
        ("data.weight > 0", (True,), True),  # a boolean is taken for a number where one is declared
        ("data.serial > 0", (True,), "cannot be computed: a value is null or of another type"),  # and not elsewhere
        ("'a' in data.codes", (["b", "a\0b"],), True),
        ("size(data.tags) == 1", ([None],), True),
        ("data.at < data.seen", (LATE, LATE + dt.timedelta(milliseconds=1)), False),  # its second is rounded up
        ("data.weight > 0", (2**63,), "cannot be computed: a number is out of range"),
        ("data.serial > 0", (None,), "cannot be computed: a value is null or of another type"),
        ("data.paid && data.serial > 0", (False, None), False),  # && takes no notice of what cannot matter
        ("data.serial > 0 && data.paid", (None, False), False),
        ("data.serial > 0 || data.paid", (None, True), True),
        ("data.serial > 0 || data.paid", (None, False), "cannot be computed: a value is null or of another type"),
        ("data.alias in ['a']", (None,), False),
        ("data.ratio == data.height", (math.nan, math.nan), False),
        ("data.name < data.alias", ("\uffff", "\U00010000"), True),  # by code point, not as UTF-16 has it
        ("size(data.name) == 3", ("\U0001f600e\u0301",), True),
    ],
)
def test_the_word_of_cel_is_kept(expression: str, values: tuple[Any, ...], verdict: bool | str) -> None:
    condition = Condition(expression, SCHEMA)
    assert condition.is_fast
    assert outcome(condition.holds, values) == outcome(condition.judged, values) == verdict


DATA: dict[str, Any] = {
    "born": dt.date(2026, 3, 1),
    "opens": dt.time(8, 30),
    "letter": uuid.UUID(int=7),
    "fee": Decimal("10.50"),
    "codes": ["A"],
    "notes": [{"on": INSTANTS[6]}],
    "father": None,
    "mother": {"nik": "32"},
}


@pytest.mark.parametrize(
    ("name", "value", "as_it_is"),
    [
        ("event.type", "id.go.example.v1", True),
        ("event.time", dt.datetime(2026, 2, 28, 17, tzinfo=dt.UTC), False),
        ("event.subject", None, True),
        ("data.mother.nik", "32", True),
        ("data.father.phone", None, True),
        ("data.born", dt.datetime(2026, 3, 1, tzinfo=dt.UTC), False),
        ("data.opens", dt.timedelta(hours=8, minutes=30), False),
        ("data.letter", "00000000-0000-0000-0000-000000000007", False),
        ("data.fee", "10.5", False),
        ("data.codes", ["A"], True),
        ("data.notes", [{"on": INSTANTS[6].isoformat()}], False),
    ],
)
def test_a_variable_says_how_its_value_becomes_what_cel_takes(name: str, value: Any, as_it_is: bool) -> None:
    (variable,) = Condition(f"{name} == {name}", SCHEMA).variables
    attributes = {"type": "id.go.example.v1", "time": "2026-03-01T00:00:00+07:00"}
    assert variable.steps == tuple(name.split("."))
    assert variable.read(attributes, DATA) == value
    assert (variable.convert is None) is as_it_is


def test_names_come_once_each_in_the_order_of_the_expression_up_to_a_list_or_map() -> None:
    condition = Condition("data.scores.maths > 3 || event.type == data.father.nik || data.scores.art > 3", SCHEMA)
    assert condition.names == (("data", "scores"), ("event", "type"), ("data", "father", "nik"))


def test_all_conditions_of_the_example_deployment_but_those_over_items_of_lists_are_fast() -> None:
    catalogue, _ = load(FOLDER)
    conditions = [
        Condition(expression, catalogue.schemas[agreement.event_type])
        for agreement in catalogue.agreements.values()
        for expression in filter(None, (agreement.when, *agreement.require.values()))
    ]
    slow = [condition for condition in conditions if not condition.is_fast]
    assert len(conditions) >= 60
    assert all(".exists(" in condition.expression for condition in slow)
    assert len(slow) < len(conditions) / 10
