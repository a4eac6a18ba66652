"""Broken catalogues: each with every one of its problems, by file, line and rule, in one report."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from connector_kinds import KINDS
from sound_catalogue import (
    BIRTH,
    BIRTH_AVSC,
    BIRTH_YAML,
    BIRTHS,
    BMKG,
    BPS,
    CORRECTION_AVSC,
    CORRECTION_YAML,
    DUKCAPIL,
    QUAKE,
    QUAKE_AVSC,
    QUAKE_YAML,
    QUAKES,
    SOUND,
    Edit,
    Expected,
    broken,
    found,
    places,
    write,
)

from connectors.runtime.validation import problems as problems_of_settings
from schemas.load import Catalogue, CatalogueProblem, load
from schemas.model import Connector
from schemas.validate import RULES, validate

TODAY = dt.date(2026, 11, 24)


def problems_of(
    folder: Path, files: Mapping[str, str | bytes], registered: Mapping[str, Sequence[Any]] | None = None
) -> list[CatalogueProblem]:
    catalogue, problems = load(write(folder, files))
    return sorted([*problems, *validate(catalogue, today=TODAY, registered=registered, check_connector=check)])


def check(connector: Connector, _catalogue: Catalogue) -> list[tuple[tuple[str | int, ...], str]]:
    found = problems_of_settings(KINDS, connector.plugin, connector.config)
    return [(("config", *problem.path) if problem.path else ("plugin",), problem.message) for problem in found]


def test_a_sound_catalogue_has_no_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path, SOUND) == []


CONNECTOR = """\
connector: births-out
system: dukcapil.siak
plugin: counting
config:
  event_type: id.go.dukcapil.birth.registered.v1
  until: 10
"""


def test_a_catalogue_with_a_connector_has_no_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {**SOUND, "connectors/births-out.yaml": CONNECTOR}) == []


BROKEN: dict[str, tuple[dict[str, Edit], Expected]] = {
    "connectors of nobody, of no kind, with settings that are none": (
        {
            "connectors/births-out.yaml": CONNECTOR.replace("siak", "siaak").replace("until: 10", "untill: 10"),
            "connectors/more.yaml": CONNECTOR.replace("births-out", "more").replace("counting", "countnig"),
        },
        {
            ("connectors/births-out.yaml", "system:", "unknown-system"),
            ("connectors/births-out.yaml", "untill:", "connector"),
            ("connectors/births-out.yaml", "config:", "connector"),  # until is missing
            ("connectors/more.yaml", "plugin:", "connector"),
        },
    ),
    "references that dangle": (
        {
            BIRTHS: [("provider: dukcapil", "provider: dukcapli"), ("bps.vital", "bps.vitals")],
            QUAKES: [(f"event_type: {QUAKE}", "event_type: id.go.bmkg.earthquake.measure.v1")],
            BIRTH_YAML: [("owner: dukcapil", "owner: dukcapl"), ("dukcapil.siak", "dukcapil.siaak")],
        },
        {
            (BIRTHS, "provider:", "unknown-agency"),
            (BIRTHS, "consumer:", "unknown-system"),
            (QUAKES, "event_type:", "unknown-event-type"),
            (BIRTH_YAML, "owner:", "unknown-agency"),
            (BIRTH_YAML, "publishers:", "unknown-system"),
        },
    ),
    "things that belong to somebody else": (
        {
            "agencies/lintas.yaml": SOUND[BPS].replace("bps", "lintas").replace("id.go.lintas", "id.go.bps"),
            QUAKE_YAML: [("owner: bmkg", "owner: bps")],
            BIRTHS: [("provider: dukcapil", "provider: bmkg")],
        },
        {
            ("agencies/lintas.yaml", "agency:", "reserved-name"),
            ("agencies/lintas.yaml", "domain:", "duplicate-domain"),
            (QUAKE_YAML, "event_type:", "foreign-domain"),
            (QUAKE_YAML, "publishers:", "foreign-publisher"),
            (QUAKES, "provider:", "foreign-provider"),
            (BIRTHS, "provider:", "foreign-provider"),
        },
    ),
    "the canary's events are nobody's": (
        {QUAKES: [("event_type: id.go.bmkg.earthquake.measured.v1", "event_type: lintas.bus.canary.sent.v1")]},
        {(QUAKES, "event_type:", "bus-event-type")},
    ),
    "schemas that are none": (
        {
            BIRTH_AVSC: [('"type": "int"}', '"type": "integer"}')],
            QUAKE_AVSC: '"string"\n',
            CORRECTION_AVSC: '{"type": "enum", "name": "E", "symbols": ["A"]}',
        },
        {
            (BIRTH_AVSC, "", "schema-invalid"),
            (QUAKE_AVSC, "", "schema-invalid"),
            (CORRECTION_AVSC, "", "schema-invalid"),
        },
    ),
    "paths that lead nowhere": (
        {
            BIRTH_YAML: [("  - child", "  - child.names"), ("subject: child.nik", "subject: child.nim")],
            CORRECTION_YAML: [("before: before", "before: previous"), ("  - nik", "  - nik.number")],
            BIRTHS: [("  province: keep", "  provinces: keep"), ("  child.born: {", "  child.bron: {")],
        },
        {
            (BIRTH_YAML, "child.names", "unknown-path"),
            (BIRTH_YAML, "subject:", "unknown-path"),
            (CORRECTION_YAML, "before: previous", "unknown-path"),
            (CORRECTION_YAML, "nik.number", "unknown-path"),
            (BIRTHS, "provinces", "release"),
            (BIRTHS, "bron", "release"),
        },
    ),
    "a subject and a record before of the wrong shape": (
        {
            BIRTH_YAML: [("subject: child.nik", "subject: child.born")],
            CORRECTION_AVSC: [
                ('    {"name": "nik", "type": "string"}', '    {"name": "nik", "type": ["null", "string"]}'),
                ('["null", "int"]}]', '["null", "long"]}, {"name": "gone", "type": "int"}]'),
            ],
            CORRECTION_YAML: [("publishers: [dukcapil.siak]\n", "publishers: [dukcapil.siak]\nsubject: grams\n")],
        },
        {
            (BIRTH_YAML, "subject:", "subject-type"),
            (CORRECTION_YAML, "before: before", "before-shape"),
            (CORRECTION_YAML, "subject:", "subject-type"),
        },
    ),
    "a record before that is no record": (
        {
            CORRECTION_YAML: [("before: before", "before: grams")],
            BIRTH_YAML: [("classification: personal", "before: child.nik\nclassification: personal")],
        },
        {(CORRECTION_YAML, "before: grams", "before-shape"), (BIRTH_YAML, "before:", "unknown-path")},
    ),
    "agreements out of date": (
        {
            BIRTHS: [("until: 2028-12-31", "until: 2026-11-23")],
            QUAKES: [("from: 2026-01-01", "from: 2029-01-01")],
        },
        {(BIRTHS, "valid:", "expired"), (QUAKES, "until:", "validity")},
    ),
    "agreements without a legal basis": (
        {BIRTHS: [("legal_basis: UU 16/1997\n", "")], QUAKES: [("legal_basis: UU 16/1997", "legal_basis:")]},
        {(BIRTHS, "", "missing-field"), (QUAKES, "legal_basis:", "bad-value")},
    ),
    "conditions that do not fit": (
        {
            BIRTHS: [
                ('when: data.province == "32"', "when: |\n  data.siblings > 1\n  && data.province == 32"),
                ("  few: data.siblings < 30", "  few: data.sibling < 30\n  many: data.siblings + 1"),
            ],
            QUAKES: [("release:", "when: magnitude_tenths > 50 &&\nrelease:")],
        },
        {
            (BIRTHS, "when:", "condition"),
            (BIRTHS, "few:", "condition"),
            (BIRTHS, "many:", "condition"),
            (QUAKES, "when:", "condition"),
        },
    ),
    "rules that do not fit the field": (
        {
            BIRTHS: [("province: keep", "siblings: {mask: {keep_last: 1}}\n  father: pseudonym")],
            QUAKES: [("magnitude_tenths: keep", "place: {generalise: {band: 10}}")],
        },
        {
            (BIRTHS, "siblings: {mask", "release"),
            (BIRTHS, "father: pseudonym", "release"),
            (QUAKES, "place:", "release"),
        },
    ),
    "envelope attributes that cannot be released so": (
        {
            BIRTHS: [
                (
                    "release:",
                    "envelope:\n  Trace: keep\n  dataschema: keep\n  id: drop\n  time: pseudonym\nrelease:",
                )
            ]
        },
        {
            (BIRTHS, "Trace", "envelope"),
            (BIRTHS, "Trace", "personal-in-clear"),
            (BIRTHS, "dataschema", "envelope"),
            (BIRTHS, "dataschema", "personal-in-clear"),
            (BIRTHS, "id: drop", "envelope"),
            (BIRTHS, "time: pseudonym", "envelope"),
        },
    ),
    "personal data in clear": (
        {
            BIRTHS: [
                ("  child.nik: pseudonym", "  child: keep\n  child.nik: pseudonym\n  father.name: keep"),
                ("release:", "envelope:\n  subject: keep\n  tracestate: keep\nrelease:"),
            ]
        },
        {
            (BIRTHS, "child: keep", "personal-in-clear"),  # child.name, by the record above it
            (BIRTHS, "father.name", "personal-in-clear"),
            (BIRTHS, "subject: keep", "personal-in-clear"),
            (BIRTHS, "tracestate", "personal-in-clear"),
        },
    ),
    "personal data named for nothing": (
        {
            BIRTHS: [
                (
                    "release:",
                    "personal_data_in_clear:\n  - child.nik\n  - father\n  - envelope.id\n  - province\nrelease:",
                )
            ]
        },
        {
            (BIRTHS, "- child.nik", "personal-needless"),
            (BIRTHS, "- father", "personal-needless"),
            (BIRTHS, "- envelope.id", "personal-needless"),
            (BIRTHS, "- province", "personal-needless"),
        },
    ),
    "event types classified wrongly": (
        {
            BIRTH_YAML: [("classification: personal", "classification: public")],
            CORRECTION_YAML: [("classification: personal", "classification: internal")],
        },
        {
            (BIRTH_YAML, "classification:", "classification"),
            (CORRECTION_YAML, "classification:", "classification"),
        },
    ),
    "two agreements that give one consumer the same": (
        {
            "agreements/bps.quakes.more.yaml": SOUND[QUAKES].replace("bps.quakes", "bps.quakes.more"),
            "agreements/bps.births.more.yaml": SOUND[BIRTHS].replace("bps.births", "bps.births.more"),
        },
        {
            ("agreements/bps.quakes.more.yaml", "consumer:", "same-consumer"),
            ("agreements/bps.births.more.yaml", "consumer:", "same-consumer"),
        },
    ),
    "a little of everything": (
        {
            DUKCAPIL: [("name: Population registry\n", "nama: Population registry\n")],
            BMKG: "agency: [",
            QUAKE_YAML: None,
            BIRTHS: [("when: data", "when: dat"), ("until: 2028", "until: 2025")],
            "agreements/notes.txt": "",
        },
        {  # references to an agency whose file is broken are no problems of their own
            (DUKCAPIL, "nama", "unknown-field"),
            (DUKCAPIL, "", "missing-field"),
            (BMKG, "", "yaml-syntax"),
            (QUAKE_AVSC, "", "schema-alone"),
            (QUAKES, "event_type:", "unknown-event-type"),
            (BIRTHS, "when:", "condition"),
            (BIRTHS, "valid:", "validity"),
            ("agreements/notes.txt", "", "stray-file"),
        },
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_catalogue_gets_one_report_of_all_its_problems(tmp_path: Path, case: str) -> None:
    edits, expected = BROKEN[case]
    files = broken(edits)
    problems = problems_of(tmp_path, files)
    assert found(problems) == places(files, expected), "\n".join(map(str, problems))
    assert problems == sorted(problems)


def test_a_schema_is_held_to_every_schema_that_was_published(tmp_path: Path) -> None:
    was_text = {
        "type": "record",
        "name": "Quake",
        "namespace": "id.go.bmkg",
        "fields": [{"name": "magnitude_tenths", "type": "string"}, {"name": "at", "type": "long"}],
    }
    renamed = {**was_text, "name": "Tremor", "fields": []}
    problems = problems_of(tmp_path, SOUND, {QUAKE: [renamed, was_text], BIRTH: []})
    assert [(problem.line, problem.message) for problem in problems] == [
        (1, "the event: record Quake cannot read record Tremor (it needs an alias)"),
        (3, "magnitude_tenths: int cannot read string"),
        (4, "at: timestamp-millis cannot read long"),
        (5, "place: is new and has no default"),
    ]
    assert {(str(problem.file), problem.rule) for problem in problems} == {(QUAKE_AVSC, "schema-incompatible")}


@pytest.mark.parametrize(
    ("edits", "hint"),
    [
        ({BIRTHS: [("bps.vital", "bps.vitals")]}, "did you mean bps.vital?"),
        ({BIRTHS: [("  child.nik:", "  child.nikk:")]}, "did you mean child.nik?"),
        ({BIRTHS: [("data.siblings", "data.sibling")]}, "did you mean siblings?"),
        ({BIRTH_YAML: [("  - father", "  - fathre")]}, "did you mean father?"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(
    tmp_path: Path, edits: dict[str, Edit], hint: str
) -> None:
    assert any(hint in problem.message for problem in problems_of(tmp_path, broken(edits)))


def test_naming_personal_data_allows_it(tmp_path: Path) -> None:
    files = broken(
        {
            BIRTHS: [
                ("child.nik: pseudonym", "child.nik: keep\n  father: keep"),
                (
                    "release:",
                    "personal_data_in_clear: [child.nik, father, envelope.key]\nenvelope: {key: keep}\nrelease:",
                ),
            ]
        }
    )
    assert problems_of(tmp_path, files) == []


TREE = """\
{"type": "record", "name": "Tree", "fields": [
  {"name": "name", "type": "string"},
  {"name": "parent", "type": ["null", "Tree"]},
  {"name": "titles", "type": {"type": "map", "values": "string"}}]}
"""


@pytest.mark.parametrize(
    ("personal", "release", "expected"),
    [
        ("name", "parent: keep", {"parent"}),  # a record in itself holds what is personal in the outer one
        ("titles", "titles{}: {mask: {}}", {"titles"}),  # the keys of a map are released as they are
        ("titles", "titles: drop\n  name: keep", set()),
        ("name", "titles: keep", set()),
    ],
)
def test_what_rules_cannot_reach_counts_as_released_in_clear(
    tmp_path: Path, personal: str, release: str, expected: set[str]
) -> None:
    files = broken(
        {
            QUAKE_AVSC: TREE,
            QUAKE_YAML: [("classification: public", f"classification: personal\npersonal_fields: [{personal}]")],
            QUAKES: [("magnitude_tenths: keep", release)],
        }
    )
    problems = problems_of(tmp_path, files)
    assert {problem.rule for problem in problems} <= {"personal-in-clear"}
    assert {problem.message.split()[0] for problem in problems} == expected


def test_every_rule_is_described_and_broken_by_a_test() -> None:
    from test_catalogue_load import BROKEN as UNREADABLE  # noqa: PLC0415  the other half of the table

    tested = {rule for _, expected in (*BROKEN.values(), *UNREADABLE.values()) for _, _, rule in expected}
    assert tested | {"no-folder", "unreadable", "schema-incompatible"} == set(RULES), "these three have their own tests"
