"""Rules and alerts: sound, tested one by one, on the list of metrics, each with a page that says what to do."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import alert_rules as given
import click
import pytest

from lintas.cli.main import main as root

ALERTS = given.alerts()
RUNBOOKS = given.REPOSITORY / "docs/runbooks"
DASHBOARDS = given.REPOSITORY / "monitoring/dashboards/out"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def promtool(*arguments: str | Path) -> str:
    """What promtool says; fails the test if it is not content."""
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@needs_promtool
def test_promtool_accepts_every_rule() -> None:
    promtool("check", "rules", *given.FILES)


@needs_promtool
@pytest.mark.parametrize("file", given.CASES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_say_what_they_should(file: Path) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_seen_to_fire_and_seen_not_to(alert: str) -> None:
    expected = [
        bool(expectation["exp_alerts"]) for expectation in given.expectations() if expectation["alertname"] == alert
    ]
    assert True in expected, "no case in which it fires"
    assert False in expected, "no case in which it does not"


def test_every_window_of_an_alert_is_seen_to_fire() -> None:
    told = {
        (expectation["alertname"], alert["exp_labels"].get("window"))
        for expectation in given.expectations()
        for alert in expectation["exp_alerts"]
    }
    assert {(rule.alert, rule.labels.get("window")) for rule in given.rules() if rule.alert} <= told


@pytest.mark.parametrize("rule", [rule for rule in given.rules() if rule.alert], ids=lambda rule: rule.alert)
def test_an_alert_has_what_its_reader_needs(rule: given.Rule) -> None:
    assert re.fullmatch(r"Lintas([A-Z][a-z]+)+", rule.alert)
    assert rule.labels["severity"] in {"critical", "warning", "info"}
    assert rule.labels["component"]
    assert rule.annotations["summary"].endswith(".")
    assert "{{" not in rule.annotations["summary"], "the summary stands for a group of alerts"
    description = rule.annotations["description"]
    for part in ("**Impact:** ", "**Common causes:** ", "**First steps:**\n1. ", "\n2. ", "\n3. "):
        assert part in description
    assert rule.annotations["runbook_url"] == f"{{{{ $externalLabels.docs_url }}}}/docs/runbooks/{rule.alert}.md"
    assert rule.annotations["dashboard_url"].startswith("{{ $externalLabels.grafana_url }}/d/lintas-")
    assert rule.annotations.get("console_url", "{{ $externalLabels.console_url }}/").startswith(
        "{{ $externalLabels.console_url }}/"
    )


def test_only_differing_books_are_told_at_once() -> None:
    assert {rule.alert for rule in given.rules() if rule.alert and not rule.waits} == {"LintasBooksDiffer"}


@pytest.mark.parametrize("rule", given.rules(), ids=lambda rule: rule.alert or rule.record)
def test_what_a_rule_asks_for_is_served(rule: given.Rule) -> None:
    assert given.used_names(rule.expr) or rule.expr == f"vector({rule.expr[7:-1]})"
    assert given.problems(rule.expr, given.known_names()) == []


@pytest.mark.parametrize("gone", ["lintas_lag_seconds", "lintas_event_age_seconds_bucket", "lintas_canary_up"])
def test_a_metric_that_is_renamed_is_missed(gone: str) -> None:
    known = {name: labels for name, labels in given.known_names().items() if name != gone}
    assert [rule for rule in given.rules() if f"nobody serves {gone}" in given.problems(rule.expr, known)]


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ('lintas_lag_seconds{agreement="a"} > 1', "lintas_lag_seconds has no label agreement"),
        ("max by (lane) (lintas_lag_seconds) > 1", "nothing here has the label lane"),
        ("rate(lintas_event_age_seconds[5m])", "nobody serves lintas_event_age_seconds"),
        ("bus:lintas_nothing:sum > 0", "nobody serves bus:lintas_nothing:sum"),
    ],
)
def test_what_is_not_served_is_noticed(expr: str, problem: str) -> None:
    assert problem in given.problems(expr, given.known_names())


@pytest.mark.parametrize("file", given.CASES, ids=lambda file: file.stem)
def test_cases_are_made_of_series_that_are_served(file: Path) -> None:
    known = given.known_names()
    for series in set(re.findall(r"series: '?([a-zA-Z_]+(?:\{[^}]*\})?)", file.read_text())):
        assert given.problems(series, known) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_page_that_says_what_to_do(alert: str) -> None:
    page = (RUNBOOKS / f"{alert}.md").read_text()
    rule = ALERTS[alert]
    assert page.startswith(f"# {alert}\n\n*{rule.labels['severity']}.* {rule.annotations['summary']}\n")
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    assert parts[1::2] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert all(len(text.split()) >= 5 for text in parts[2::2]), "a part says nothing"
    assert re.search(r"^1\. ", parts[8], re.MULTILINE), "what to do has steps"


def test_there_is_no_page_without_its_alert_and_the_list_has_all() -> None:
    assert {page.stem for page in RUNBOOKS.glob("Lintas*.md")} == set(ALERTS)
    listed = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (.+) \|$", (RUNBOOKS / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(
        (alert, alert, rule.labels["severity"], rule.annotations["summary"]) for alert, rule in ALERTS.items()
    )


def test_links_of_pages_lead_somewhere() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("alert", ALERTS)
def test_a_command_that_an_alert_names_exists(alert: str) -> None:
    for line in re.findall(r"`(lintas [^`]+)`", ALERTS[alert].annotations["description"]):
        command: click.Command = root
        for word in shlex.split(re.sub(r"\{\{.*?\}\}", "ID", line))[1:]:
            if isinstance(command, click.Group):
                below = command.get_command(click.Context(command), word)
                assert below is not None, f"there is no {word!r} in {line!r}"
                command = below
