"""Kinds of connectors describe themselves, and files of connectors are checked against them."""

import json
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from connectors.plugins.known import PLUGINS
from connectors.runtime import ownership, topics
from connectors.runtime.plugin import Plugin
from connectors.runtime.reference import settings_of
from connectors.runtime.rest.answers import OWN_SETTINGS, definitions
from connectors.runtime.state import ConnectorsState, Kept, State, Status, Target, progress_records
from connectors.runtime.validation import by_name, read
from lintas import logs
from lintas.cli import connector, connector_acts, connector_states
from lintas.cli.connector_logs import new_lines
from lintas.cli.connector_run import _bound, _token
from lintas.cli.main import main
from schemas.connector_configs import Configured


def lintas(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["connector", *arguments])


def test_kinds_have_names_of_their_own() -> None:
    assert len(by_name(PLUGINS)) == len(PLUGINS)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_kind_explains_every_setting_and_its_promise(plugin: Plugin) -> None:
    settings = definitions(plugin)
    assert settings
    assert not [one["name"] for one in settings if not one["documentation"]], "settings without a word about them"
    assert not {one["name"] for one in settings} & set(OWN_SETTINGS), "REST uses these itself"
    assert plugin.summary
    assert plugin.guarantee_because


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_settings_below_settings_are_explained_too(plugin: Plugin) -> None:
    settings = settings_of(plugin)
    assert {one.path for one in settings if "." not in one.path} == {one["name"] for one in definitions(plugin)}
    assert not [one.path for one in settings if not one.meaning]


def test_settings_below_settings_have_their_path() -> None:
    paths = {one.path: one for one in settings_of(by_name(PLUGINS)["files"])}
    assert paths["mapping.event_type"].required
    assert paths["csv.delimiter"].default == ","


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_example_of_a_kind_is_right(plugin: Plugin) -> None:
    config, problems = read(plugin, yaml.safe_load(plugin.example))
    assert config is not None, problems


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_kind_is_shown(plugin: Plugin) -> None:
    shown = lintas("plugins", plugin.name)
    assert shown.exit_code == 0, shown.output
    assert plugin.example.strip().splitlines()[0] in shown.output
    assert json.loads(lintas("plugins", plugin.name, "-o", "json").output)["class"] == plugin.name


def test_an_unknown_kind_is_misuse() -> None:
    assert lintas("plugins", "nothing").exit_code == 2


def test_a_file_is_told_every_problem_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "quakes.yaml"
    file.write_text(
        "connector: quakes\nsystem: bmkg.inatews\nplugin: bmkg-earthquakes\nconfig:\n  no_such: 1\n  more: 2\n"
    )
    told = lintas("validate", str(file))
    assert told.exit_code == 1
    assert f"{file}:5: connector: no_such: there is no such setting" in told.output
    assert f"{file}:6: connector: more: there is no such setting" in told.output
    file.write_text("connector: Quakes\nsystem: bmkg\nplugin: bmkg-earthquakes\nplugins: 1\n")
    told = lintas("validate", str(file), "-o", "json")
    assert [problem["line"] for problem in json.loads(told.output)] == [1, 2, 4]


def test_a_file_that_is_right_has_no_problem(tmp_path: Path) -> None:
    plugin = by_name(PLUGINS)["bmkg-earthquakes"]
    file = tmp_path / "quakes.yaml"
    content = {"connector": "quakes", "system": "bmkg.inatews", "plugin": plugin.name}
    file.write_text(yaml.safe_dump({**content, "config": yaml.safe_load(plugin.example)}))
    told = lintas("validate", str(file))
    assert (told.exit_code, told.output) == (0, "no problems\n")


def test_files_of_the_machine_where_it_runs_are_not_looked_for_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "hospital.yaml"
    file.write_text(
        "connector: hospital\nsystem: kemenkes.satusehat\nplugin: webhook\nconfig:\n"
        "  url: https://events.hospital.example.go.id/lintas\n  origin: bus.example.go.id\n"
        f"  secret_files: [{tmp_path}/not-here]\n"
    )
    told = lintas("validate", str(file))
    assert (told.exit_code, told.output) == (0, "no problems\n")


def test_settings_that_do_not_go_together_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "alerts.yaml"
    file.write_text(
        "connector: alerts\nsystem: bmkg.alerts\nplugin: cap-push\nconfig:\n  port: 8470\n  token_file: /tokens\n"
        "  event_type: id.go.bmkg.alert.issued.v1\n  certificate_file: /certificate\n"
    )
    told = lintas("validate", str(file))
    assert told.exit_code == 1
    assert "key_file" in told.output


def test_the_lines_of_one_connector_are_found_in_a_log(tmp_path: Path) -> None:
    file = tmp_path / "connector.log"
    lines = [
        {"time": "t1", "level": "info", "message": "births is RUNNING", "connector": "births"},
        {"time": "t2", "level": "info", "message": "others is RUNNING", "connector": "others"},
        {"time": "t3", "level": "error", "message": "births has failed", "connector": "births"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "no JSON\n")
    assert lintas("logs", "births", "--file", str(file)).output == (
        "t1 INFO births is RUNNING\nt3 ERROR births has failed\n"
    )
    last = lintas("logs", "births", "--file", str(file), "-n", "1", "-o", "json")
    assert json.loads(last.output)["message"] == "births has failed"


def test_a_log_is_followed_in_whole_lines_and_when_it_was_emptied(tmp_path: Path) -> None:
    file = tmp_path / "connector.log"
    file.write_bytes(b"one\ntw")
    with file.open("rb") as log, file.open("ab") as program:
        assert list(new_lines(log)) == [b"one\n"]
        program.write(b"o\n")
        program.flush()
        assert list(new_lines(log)) == [b"two\n"]
        program.truncate(0)  # as the local bus does with a log that has grown too large
        program.write(b"3\n")
        program.flush()
        assert list(new_lines(log)) == [b"3\n"]


OFFICE, READER = "office.desk", "users.reader"


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, ConnectorsState]:
    """What the topics of two systems say; a runtime is there for the office alone."""
    stopped = [Target(State.STOPPED).record("hook"), *progress_records("hook", {"next": 5})]
    found = {
        OFFICE: ConnectorsState().of([Configured("files", {}, "rest").record("births")]),
        READER: ConnectorsState().of([Configured("webhook", {}, "rest").record("hook"), *stopped]),
    }
    monkeypatch.setattr(connector_acts, "states_of", lambda *_: found)
    monkeypatch.setattr(topics, "write", lambda _, system, records: found[system].of(records))
    monkeypatch.setattr(ownership, "is_owned", lambda _, system: system == OFFICE)
    return found


def test_what_is_asked_of_several_is_done_with_all_or_with_none(states: dict[str, ConnectorsState]) -> None:
    refused = lintas("pause", "births", "deaths")
    assert (refused.exit_code, "deaths" in refused.output) == (2, True)
    assert states[OFFICE].target("births").state is State.RUNNING
    asked = lintas("pause", "births", "hook", "-o", "json")
    assert [one["done"] for one in json.loads(asked.output)] == ["is to be PAUSED", "is to be PAUSED"]
    assert states[OFFICE].target("births").state is State.PAUSED


def test_progress_is_forgotten_whoever_runs_other_systems_connectors(states: dict[str, ConnectorsState]) -> None:
    states[OFFICE].of(
        [
            Target(State.STOPPED).record("births"),
            Status(State.STOPPED, "2026-11-26T16:00:00Z", "here:8083").record("births"),
            *progress_records("births", {"births.csv": 3}),
        ]
    )
    assert lintas("forget", "births", "hook").exit_code == 0
    assert not [system for system, name in ((OFFICE, "births"), (READER, "hook")) if states[system].has_progress(name)]


@pytest.mark.parametrize(("kind", "instead"), [("postgres-sink", "lintas_positions"), ("parquet", "an empty folder")])
def test_who_keeps_positions_with_the_data_forgets_nothing_and_tells_what_to_do(
    states: dict[str, ConnectorsState], kind: str, instead: str
) -> None:
    states[READER].of([Configured(kind, {}, "rest").record("hook"), Kept(kind, {0: 5}).record("hook")])
    refused = lintas("forget", "hook")
    assert refused.exit_code == 1
    assert instead in " ".join(refused.output.split())
    assert states[READER].has_progress("hook")


def test_connectors_are_listed_and_shown_as_they_are(
    monkeypatch: pytest.MonkeyPatch, states: dict[str, ConnectorsState]
) -> None:
    for module in (connector, connector_states):
        monkeypatch.setattr(module, "states_of", lambda *_: states)
    monkeypatch.setattr(ownership, "owned_of", lambda _, systems: {OFFICE} & set(systems))
    failed = Status(State.FAILED, "2026-11-26T16:00:00Z", "here:8083", "ConnectorFailed: the folder is away")
    states[OFFICE].of([failed.record("births"), Kept("files").record("births")])
    listed = {one["connector"]: one for one in json.loads(lintas("list", "-o", "json").output)}
    assert {name: one["state"] for name, one in listed.items()} == {"births": "FAILED", "hook": "STOPPED"}
    assert listed["births"] | {"system": OFFICE, "kind": "source", "worker": "here:8083"} == listed["births"]
    assert lintas("list").output.splitlines()[1].split()[:5] == ["births", OFFICE, "files", "source", "FAILED"]
    shown = lintas("show", "births").output
    assert "ConnectorFailed: the folder is away" in shown
    of_hook = json.loads(lintas("show", "hook", "-o", "json").output)
    assert (of_hook["state"], of_hook["progress"], of_hook["trace"]) == ("STOPPED", {"next": 5}, None)
    assert lintas("show", "deaths").exit_code == 2


@pytest.mark.parametrize(("system", "told"), [("bpom.recals", "did you mean bpom.recalls?"), ("x.y", "not exist.")])
def test_a_system_without_credentials_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, told: str
) -> None:
    monkeypatch.setattr(logs, "set_up", lambda *_: None)
    monkeypatch.setenv("LINTAS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("LINTAS_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("LINTAS_REGISTRY_URL", "http://127.0.0.1:1")
    (tmp_path / "bpom.recalls.properties").touch()
    refused = lintas("run", "--system", system, "--listen", "127.0.0.1:0")
    assert refused.exit_code == 2
    assert told in " ".join(refused.output.split())


def test_who_would_listen_to_others_without_a_token_is_told_of_the_option() -> None:
    with pytest.raises(click.BadParameter, match="--token-file") as refused:
        _token("0.0.0.0", None)
    assert refused.value.param_hint == "--listen"


def test_two_runtimes_do_not_take_one_port() -> None:
    with _bound("127.0.0.1", 0) as first, pytest.raises(click.BadParameter, match="nothing can listen"):
        _bound("127.0.0.1", first.getsockname()[1])
