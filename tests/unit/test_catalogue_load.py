"""Reading a catalogue folder: what is read although something is broken, and every problem with its line."""

from pathlib import Path

import pytest
from sound_catalogue import (
    BIRTH,
    BIRTH_AVSC,
    BIRTH_YAML,
    BIRTHS,
    BMKG,
    BPS,
    DUKCAPIL,
    QUAKE_AVSC,
    QUAKE_YAML,
    QUAKES,
    SOUND,
    Edit,
    Expected,
    broken,
    found,
    line_of,
    places,
    write,
)

from schemas.load import load
from schemas.validate import RULES


def test_a_sound_catalogue_is_read_whole(tmp_path: Path) -> None:
    catalogue, problems = load(write(tmp_path, SOUND))
    assert problems == []
    assert sorted(catalogue.agencies) == ["bmkg", "bps", "dukcapil"]
    assert len(catalogue.event_types) == len(catalogue.schemas) == 3
    assert sorted(catalogue.agreements) == ["bps.births", "bps.quakes"]
    assert catalogue.place("agreement", "bps.births").line("release", "child.nik") == line_of(
        SOUND[BIRTHS], "  child.nik: pseudonym"
    )


BROKEN: dict[str, tuple[dict[str, Edit], Expected]] = {
    "unknown and misspelt fields": (
        {
            BIRTHS: [("legal_basis:", "legal_bases:"), ("{from: 2026-01-01, until", "{from: 2026-01-01, untill")],
            DUKCAPIL: [("kind: government", "kind: government, port: 1")],
        },
        {
            (BIRTHS, "legal_bases", "unknown-field"),
            (BIRTHS, "", "missing-field"),  # legal_basis
            (BIRTHS, "valid:", "unknown-field"),
            (BIRTHS, "valid:", "missing-field"),
            (DUKCAPIL, "port", "unknown-field"),
        },
    ),
    "values of the wrong type or form": (
        {
            BIRTHS: [("2026-01-01", "2026-02-30"), ("pseudonym", "hash"), ("to: month", "to: week")],
            QUAKES: [("bps.vital", "BPS"), ("UU 16/1997", '" "'), ("magnitude_tenths: keep", "a..b: keep")],
            BIRTH_YAML: [("classification: personal", "classification: secret"), ("[dukcapil.siak]", "[]")],
            BPS: [("kind: government", "kind: ministry")],
        },
        {
            (BIRTHS, "valid:", "bad-value"),  # a day that does not exist
            (BIRTHS, "hash", "bad-value"),
            (BIRTHS, "week", "bad-value"),
            (QUAKES, "consumer: BPS", "bad-value"),
            (QUAKES, "legal_basis:", "bad-value"),
            (QUAKES, "a..b", "bad-value"),
            (BIRTH_YAML, "secret", "bad-value"),
            (BIRTH_YAML, "publishers", "bad-value"),
            (BPS, "ministry", "bad-value"),
        },
    ),
    "keys that stand twice": (
        {
            BIRTHS: [("  province: keep", "  province: keep\n  province: drop # again")],
            DUKCAPIL: [("domain:", "name: Once more\ndomain:")],
            QUAKE_AVSC: [('"type": "string"', '"type": "string",\n "type": "long"')],
        },
        {
            (BIRTHS, "# again", "duplicate-key"),
            (DUKCAPIL, "Once more", "duplicate-key"),
            (QUAKE_AVSC, ' "type": "long"}\n', "duplicate-key"),
        },
    ),
    "files that are no YAML": (
        {
            BIRTHS: [("require:", "require: [")],
            QUAKES: "- a list\n",
            BPS: "",
            BMKG: "agency: bmkg\nname: \t: x\n",
            DUKCAPIL: b"agency: dukcapil\nname: Kependudukan \xff\n",
        },
        {
            (BIRTHS, "release:", "yaml-syntax"),  # the bracket is missed here
            (QUAKES, "", "yaml-syntax"),
            (BPS, "", "yaml-syntax"),
            (BMKG, "name", "yaml-syntax"),
            (DUKCAPIL, "name", "yaml-syntax"),
        },
    ),
    "YAML that does more than hold data": (
        {
            BIRTHS: [("  few: data", "  few: !!python/object:os.system data")],
            DUKCAPIL: "agency: &a [*a]\n",
            BPS: "a: &x {b: 1}\nc: *x\n",
            BMKG: "agency: bmkg\nname: " + "[" * 1000 + "]" * 1000 + "\n",
            QUAKES: "agreement: a\0b\n",
        },
        {
            (BIRTHS, "!!python", "yaml-syntax"),
            (DUKCAPIL, "", "yaml-syntax"),
            (BPS, "", "yaml-syntax"),
            (BMKG, "", "yaml-syntax"),
            (QUAKES, "", "yaml-syntax"),
        },
    ),
    "files under another name": (
        {
            "agencies/statistics.yaml": SOUND[BPS],
            BPS: None,
            "agreements/births.yaml": "# about births\n" + SOUND[BIRTHS],
            BIRTHS: None,
        },
        {
            ("agencies/statistics.yaml", "agency:", "file-name"),
            ("agreements/births.yaml", "agreement:", "file-name"),
        },
    ),
    "files that nobody would read": (
        {
            "agreements/bps.deaths.yml": "",
            "agreement/bps.moves.yaml": "",
            "agencies/old/bps.yaml": "",
            "events/notes.txt": "",
            "README.md": "about this catalogue",
            "agreements/.bps.births.yaml.swp": "",
            "agreements/bps.births.yaml~": "",
            "agreements/bps.births.cases.yaml": "[]",
        },
        {
            ("agreements/bps.deaths.yml", "", "stray-file"),
            ("agreement", "", "stray-file"),
            ("agencies/old", "", "stray-file"),
            ("events/notes.txt", "", "stray-file"),
        },
    ),
    "schemas that are missing, alone or no JSON": (
        {
            BIRTH_AVSC: [('{"name": "siblings"', '{"name" "siblings"')],
            QUAKE_AVSC: None,
            "events/id.go.bmkg.weather.v1.avsc": "{}",
        },
        {
            (BIRTH_AVSC, "siblings", "schema-json"),
            (QUAKE_YAML, "", "schema-missing"),
            ("events/id.go.bmkg.weather.v1.avsc", "", "schema-alone"),
        },
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_problem_of_reading_is_reported_with_its_line(tmp_path: Path, case: str) -> None:
    edits, expected = BROKEN[case]
    files = broken(edits)
    _, problems = load(write(tmp_path, files))
    assert found(problems) == places(files, expected), "\n".join(map(str, problems))
    assert problems == sorted(problems)
    assert all(problem.rule in RULES for problem in problems)


def test_what_is_sound_is_read_although_other_files_are_broken(tmp_path: Path) -> None:
    catalogue, problems = load(write(tmp_path, broken({DUKCAPIL: "- no", BIRTH_AVSC: "{", QUAKES: "x: 1"})))
    assert len(problems) >= 3
    assert sorted(catalogue.agencies) == ["bmkg", "bps"]
    assert BIRTH in catalogue.event_types
    assert BIRTH not in catalogue.schemas
    assert sorted(catalogue.agreements) == ["bps.births"]


def test_a_folder_that_holds_no_catalogue_is_a_problem(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert [problem.rule for problem in load(folder)[1]] == ["no-folder"]


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, broken({BPS: None}))
    (tmp_path / BPS).symlink_to("nowhere")
    assert found(load(tmp_path)[1]) == {(BPS, 1, "unreadable")}


def test_a_misspelt_field_is_answered_with_the_right_one(tmp_path: Path) -> None:
    _, problems = load(write(tmp_path, broken({QUAKES: [("purpose:", "purpos:")]})))
    assert "did you mean purpose?" in problems[1].message
