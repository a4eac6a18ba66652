"""A small catalogue without a problem, as the texts of its files; tests break it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from schemas.load import CatalogueProblem

# Another text, pairs of old and new text, or None: no such file.
Edit = str | bytes | list[tuple[str, str]] | None
# file, a mark that stands on the line ("" for the first), rule
Expected = set[tuple[str, str, str]]

BIRTH = "id.go.dukcapil.birth.registered.v1"
CORRECTION = "id.go.dukcapil.birth.corrected.v1"
QUAKE = "id.go.bmkg.earthquake.measured.v1"

DUKCAPIL = "agencies/dukcapil.yaml"
BMKG = "agencies/bmkg.yaml"
BPS = "agencies/bps.yaml"
BIRTH_YAML = f"events/{BIRTH}.yaml"
BIRTH_AVSC = f"events/{BIRTH}.avsc"
CORRECTION_YAML = f"events/{CORRECTION}.yaml"
CORRECTION_AVSC = f"events/{CORRECTION}.avsc"
QUAKE_YAML = f"events/{QUAKE}.yaml"
QUAKE_AVSC = f"events/{QUAKE}.avsc"
BIRTHS = "agreements/bps.births.yaml"
QUAKES = "agreements/bps.quakes.yaml"

SOUND: Mapping[str, str] = {
    DUKCAPIL: """\
agency: dukcapil
name: Population registry
domain: id.go.dukcapil
systems:
  siak: {name: Population register, kind: government}
""",
    BMKG: """\
agency: bmkg
name: Weather and earthquakes
domain: id.go.bmkg
systems:
  inatews: {name: Early warning, kind: government}
""",
    BPS: """\
agency: bps
name: Statistics
domain: id.go.bps
systems:
  vital: {name: Vital statistics, kind: government}
""",
    BIRTH_YAML: f"""\
event_type: {BIRTH}
owner: dukcapil
title: A birth was registered
summary: The registrar issued a birth certificate.
publishers: [dukcapil.siak]
classification: personal
subject: child.nik
personal_fields:
  - child
  - father
""",
    BIRTH_AVSC: """\
{"type": "record", "name": "Birth", "namespace": "id.go.dukcapil",
 "fields": [
  {"name": "child", "type": {"type": "record", "name": "Person", "fields": [
    {"name": "nik", "type": "string"},
    {"name": "name", "type": "string"},
    {"name": "born", "type": {"type": "int", "logicalType": "date"}}]}},
  {"name": "father", "type": ["null", "Person"]},
  {"name": "siblings", "type": "int"},
  {"name": "province", "type": {"type": "string", "logicalType": "region-code"}}
 ]}
""",
    CORRECTION_YAML: f"""\
event_type: {CORRECTION}
owner: dukcapil
title: A birth was corrected
summary: The registrar corrected a birth certificate.
publishers: [dukcapil.siak]
classification: personal
personal_fields:
  - nik
  - before
before: before
""",
    CORRECTION_AVSC: """\
{"type": "record", "name": "Correction", "namespace": "id.go.dukcapil",
 "fields": [
  {"name": "nik", "type": "string"},
  {"name": "province", "type": "string"},
  {"name": "grams", "type": ["null", "int"]},
  {"name": "before", "type": {"type": "record", "name": "Before", "fields": [
    {"name": "nik", "type": "string"},
    {"name": "grams", "type": ["null", "int"]}]}}
 ]}
""",
    QUAKE_YAML: f"""\
event_type: {QUAKE}
owner: bmkg
title: An earthquake was measured
summary: The network located an earthquake.
publishers: [bmkg.inatews]
classification: public
""",
    QUAKE_AVSC: """\
{"type": "record", "name": "Quake", "namespace": "id.go.bmkg",
 "fields": [
  {"name": "magnitude_tenths", "type": "int"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "place", "type": "string"}
 ]}
""",
    BIRTHS: f"""\
agreement: bps.births
provider: dukcapil
consumer: bps.vital
event_type: {BIRTH}
legal_basis: UU 16/1997
purpose: Vital statistics
valid: {{from: 2026-01-01, until: 2028-12-31}}
when: data.province == "32"
require:
  few: data.siblings < 30
release:
  child.nik: pseudonym
  child.born: {{generalise: {{to: month}}}}
  province: keep
""",
    QUAKES: f"""\
agreement: bps.quakes
provider: bmkg
consumer: bps.vital
event_type: {QUAKE}
legal_basis: UU 16/1997
purpose: Disaster statistics
valid:
  from: 2026-01-01
  until: 2028-12-31
release:
  magnitude_tenths: keep
""",
}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a catalogue's files below ``folder``."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def broken(edits: Mapping[str, Edit]) -> dict[str, str | bytes]:
    """The sound catalogue with files replaced (text), removed (None) or changed (pairs of old and new text)."""
    files: dict[str, str | bytes] = dict(SOUND)
    for name, edit in edits.items():
        if edit is None:
            del files[name]
        elif isinstance(edit, list):
            text = SOUND[name]
            for old, new in edit:
                assert text.count(old) == 1, f"{old!r} must stand once in {name}"
                text = text.replace(old, new)
            files[name] = text
        else:
            files[name] = edit
    return files


def line_of(content: str | bytes, mark: str) -> int:
    """The line on which ``mark`` stands; the first for an empty mark."""
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    assert not mark or text.count(mark) == 1, f"{mark!r} must stand once in {text}"
    return text[: text.index(mark)].count("\n") + 1


def found(problems: Iterable[CatalogueProblem]) -> set[tuple[str, int, str]]:
    """File, line and rule of each problem."""
    return {(str(problem.file), problem.line, problem.rule) for problem in problems}


def places(files: Mapping[str, str | bytes], expected: Expected) -> set[tuple[str, int, str]]:
    """What is expected, with the marks' lines."""
    return {(file, line_of(files.get(file, ""), mark), rule) for file, mark, rule in expected}
