"""Cases of agreements: how they are read, what they find, and that the verbs show it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from lintas.cli.main import main
from schemas.cases import Case, Outcome, differences, load_cases
from schemas.envelope_release import id_pseudonym
from schemas.load import Catalogue, load
from schemas.pseudonyms import PseudonymKeys

FOLDER = Path(__file__).parents[2] / "schemas" / "catalogue"
BIRTHS = "jabar.child-welfare.birth-registered"
MINE = PseudonymKeys.fixed({1: b"k" * 32}).for_consumer("a.b", 1)


def case(expect: Any, **event: Any) -> Case:
    return Case.model_validate({"case": "a case", "event": {"data": {"nik": "1"}, **event}, "expect": expect})


def found(released: Any, **envelope: str) -> Outcome:
    return Outcome("released", data=released, envelope=envelope)


@pytest.mark.parametrize(
    ("expect", "outcome"),
    [
        ("filtered", Outcome("filtered")),
        ("not_in_force", Outcome("not_in_force")),
        ({"dead": "has-a-place"}, Outcome("dead", ("other", "has-a-place"))),
        ({"dead": "child.name"}, Outcome("dead", ("release", "child.name"))),
        ({"quarantined": "type"}, Outcome("quarantined", ("type", "data.nik"))),
        ({"released": {"data": {"a": 1}}}, found({"a": 1}, id="7")),
        ({"released": {"data": {"nik": "pseudonym(1)"}}}, found({"nik": MINE(b"1")})),
        (
            {"released": {"data": {}, "envelope": {"subject": "pseudonym(1)", "id": "pseudonym(7)", "time": None}}},
            found({}, subject=MINE(b"1"), id=id_pseudonym("7", MINE)),
        ),
    ],
)
def test_an_outcome_that_is_as_expected_has_no_differences(expect: Any, outcome: Outcome) -> None:
    assert differences(case(expect), outcome, MINE) == []


@pytest.mark.parametrize(
    ("expect", "outcome", "says"),
    [
        ("filtered", Outcome("dead", ("has-a-place",)), "expected filtered, found dead (has-a-place)"),
        ({"dead": "one"}, Outcome("dead", ("other",)), "expected one, found other"),
        ({"released": {"data": {"a": 1}}}, found({"a": 2}), "data.a: expected 1, released 2"),
        ({"released": {"data": {"a": 1}}}, found({"a": True}), "data.a: expected 1, released True"),
        ({"released": {"data": {"a": {"b": 1}}}}, found({"a": {}}), "data.a.b: expected 1, not released"),
        ({"released": {"data": {"a": None}}}, found({}), "data.a: expected None, not released"),
        ({"released": {"data": {}}}, found({"a": [1]}), "data.a: expected nothing, released [1]"),
        ({"released": {"data": {"a": [1, 2]}}}, found({"a": [1, 3]}), "data.a[1]: expected 2, released 3"),
        ({"released": {"data": {"a": [1, 2]}}}, found({"a": [1]}), "data.a: expected [1, 2], released [1]"),
        ({"released": {"data": {}, "envelope": {"key": None}}}, found({}, key="1"), "envelope.key: expected nothing"),
        ({"released": {"data": {}, "envelope": {"key": "1"}}}, found({}), "envelope.key: expected '1', not released"),
        # pseudonyms are shown as cases write them
        ({"released": {"data": {"nik": "1"}}}, found({"nik": MINE(b"1")}), "expected '1', released pseudonym(1)"),
        ({"released": {"data": {"nik": "pseudonym(1)"}}}, found({"nik": "1"}), "expected pseudonym(1), released '1'"),
    ],
)
def test_an_outcome_that_is_not_as_expected_says_where_and_how(expect: Any, outcome: Outcome, says: str) -> None:
    (line,) = differences(case(expect), outcome, MINE)
    assert says in line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example deployment with one agreement."""
    copy = tmp_path / "catalogue"
    shutil.copytree(FOLDER, copy)
    for path in (copy / "agreements").iterdir():
        if not path.name.startswith(BIRTHS + "."):
            path.unlink()
    return copy


def write_cases(folder: Path, text: str) -> Catalogue:
    (folder / "agreements" / f"{BIRTHS}.cases.yaml").write_text(text)
    return load(folder)[0]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("case: one", 1, "list"),
        ("", 1, "list"),
        ("- case: [", 1, ""),
        ("- case: one\n  expect: filtered\n", 1, "event"),
        ("- {case: one, event: {data: {}}, expect: filtered}\n- {case: two, event: {}, expect: filtered}\n", 2, "data"),
        ("- {case: one, event: {data: {}}, expect: delivered}\n", 1, "expect"),
        ("- {case: one, event: {data: {}}, expect: {}}\n", 1, "exactly one"),
        ("- {case: one, event: {data: {}}, expect: {dead: a, quarantined: b}}\n", 1, "exactly one"),
        ("- {case: one, event: {data: {}}, expect: {released: {}}}\n", 1, "data"),
        ("- {case: one, event: {data: {}}, expect: filtered, when: now}\n", 1, "when"),
        ("- {case: one, at: 2026-01-01 10:00, event: {data: {}}, expect: filtered}\n", 1, "at"),  # without a zone
    ],
)
def test_a_cases_file_that_cannot_be_read_is_reported_with_its_line(
    folder: Path, text: str, line: int, says: str
) -> None:
    cases, problems = load_cases(write_cases(folder, text), BIRTHS)
    assert [problem.line for problem in problems] == [line]
    assert says in problems[0].message
    assert len(cases) == max(0, line - 1)


def test_dates_in_cases_are_texts_as_in_json(folder: Path) -> None:
    text = "- {case: one, event: {time: 2026-11-24T01:00:00Z, data: {day: 2026-11-24}}, expect: filtered}\n"
    ((read,), _) = load_cases(write_cases(folder, text), BIRTHS)
    assert read.event.time == "2026-11-24T01:00:00Z"
    assert read.event.data == {"day": "2026-11-24"}


def test_an_agreement_without_a_file_has_no_cases() -> None:
    assert load_cases(load(FOLDER)[0], "nobody") == ([], [])


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_every_case_of_the_example_deployment_is_as_expected() -> None:
    result = run("agreement", "test", "-o", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {row["agreement"] for row in rows} == set(load(FOLDER)[0].agreements)
    assert all(row["cases"] == row["passed"] > 0 for row in rows)


def changed_cases(folder: Path, change: Any) -> None:
    path = folder / "agreements" / f"{BIRTHS}.cases.yaml"
    cases = yaml.safe_load(path.read_text())
    change(cases)
    path.write_text(yaml.safe_dump(cases))


def test_a_case_that_is_not_as_expected_fails_with_what_differs(folder: Path) -> None:
    def change(cases: list[Any]) -> None:
        one = next(case for case in cases if "released" in case["expect"])
        one["expect"]["released"]["data"]["child"]["name"] = "Siti"

    changed_cases(folder, change)
    result = run("agreement", "test", BIRTHS, folder)
    assert result.exit_code == 1
    assert "data.child.name: expected 'Siti', released '***" in result.stdout


def test_an_agreement_without_cases_fails(folder: Path) -> None:
    (folder / "agreements" / f"{BIRTHS}.cases.yaml").unlink()
    result = run("agreement", "test", folder)
    assert result.exit_code == 1
    assert "there are no cases" in result.stdout


@pytest.mark.parametrize(
    ("event", "expect"),
    [
        ({"data": {}}, {"quarantined": "missing-field"}),
        ({"type": "id.go.dukcapil.death.registered.v1"}, {"quarantined": "type"}),
        ({"subject": "3204056708190012"}, {"quarantined": "subject"}),  # must repeat the payload's
        (
            {"id": "7", "office": "x", "key": None},
            {"envelope": {"id": "pseudonym(7)", "office": None, "traceparent": None, "key": None, "channel": "G2G"}},
        ),
        ({"time": "2026-11-24T01:02:03Z"}, {"envelope": {"time": "2026-11-24T00:00:00Z"}}),
        ({}, {"envelope": {"subject": "pseudonym(3273012311260001)", "key": "pseudonym(3273012311260001)"}}),
    ],
)
def test_a_case_goes_through_everything_that_a_lane_does(folder: Path, event: Any, expect: Any) -> None:
    def change(cases: list[Any]) -> None:
        one = next(case for case in cases if "released" in case["expect"])
        one["event"] |= event
        if "quarantined" in expect:
            one["expect"] = expect
        else:
            one["expect"]["released"] |= expect
        cases[:] = [one]

    changed_cases(folder, change)
    result = run("agreement", "test", BIRTHS, folder)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("at", "expect"), [("2031-01-01T00:00:00+07:00", "not_in_force"), (None, None)])
def test_the_moment_of_the_decision_is_the_cases(folder: Path, at: str | None, expect: str | None) -> None:
    def change(cases: list[Any]) -> None:
        for one in cases:
            one.update({"at": at, "expect": expect} if expect else {})

    changed_cases(folder, change)
    assert run("agreement", "test", BIRTHS, folder).exit_code == 0


def test_problems_of_the_catalogue_are_reported_before_any_case(folder: Path) -> None:
    path = folder / "agreements" / f"{BIRTHS}.yaml"
    path.write_text(path.read_text().replace("child.name:", "child.nickname:"))
    result = run("agreement", "test", folder)
    assert result.exit_code == 1
    assert "child.nickname: the event has no such field" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("agreement", "show", "jabar.child-welfare.birth-registred"), BIRTHS),
        (("agreement", "test", "jabar.child-welfare.birth-registred"), BIRTHS),
        (("event-type", "show", "id.go.bmkg.earthquake.v1"), "id.go.bmkg.earthquake.measured.v1"),
    ],
)
def test_a_name_that_does_not_exist_is_misuse_and_the_closest_is_named(arguments: tuple[str, ...], meant: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Did you mean {meant}?" in result.stderr


def test_show_says_of_every_field_how_it_is_released_or_that_it_is_withheld() -> None:
    rows = {row["field"]: row for row in json.loads(run("agreement", "show", BIRTHS, "-o", "json").stdout)["fields"]}
    assert rows["child.nik"]["released"] == "pseudonym"
    assert rows["child.weight_grams"]["released"] == {"generalise": {"band": 500}}
    assert rows["mother.name"] == {"field": "mother.name", "type": "string", "personal": True, "released": None}
    assert rows["envelope.subject"]["released"] == "pseudonym"
    table = run("agreement", "show", BIRTHS).stdout
    assert [line.split()[-1] for line in table.splitlines() if line.startswith("mother.name ")] == ["withheld"]


def test_list_has_a_line_for_every_agreement_and_its_channel() -> None:
    rows = {row["agreement"]: row for row in json.loads(run("agreement", "list", "-o", "json").stdout)}
    assert set(rows) == set(load(FOLDER)[0].agreements)
    assert rows[BIRTHS]["channel"] == "G2G"
    assert len(run("agreement", "list").stdout.splitlines()) == len(rows) + 1


def test_an_event_type_is_shown_with_its_fields_and_its_consumers() -> None:
    shown = json.loads(run("event-type", "show", "id.go.dukcapil.birth.registered.v1", "-o", "json").stdout)
    assert {name: value for name, value in shown["fields"][1].items() if name in ("field", "personal")} == {
        "field": "child.nik",
        "personal": True,
    }
    assert BIRTHS in {row["agreement"] for row in shown["consumers"]}
    assert "dukcapil.siak" in run("event-type", "show", "id.go.dukcapil.birth.registered.v1").stdout
    assert len(run("event-type", "list").stdout.splitlines()) == len(load(FOLDER)[0].event_types) + 1
