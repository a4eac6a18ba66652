"""Dashboards: what lies in ``out`` is what the code says, every query is sound, and every metric is shown somewhere."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import alert_rules as given
import pytest
import yaml

from monitoring.dashboards.generate import DASHBOARDS, OUT, write
from monitoring.dashboards.panels import WIDTH, Dashboard, Panel, Query
from monitoring.listed import metrics

STAND_INS = {"$__rate_interval": "1m", "$event_type": ".+", "$agreement": ".+", "$instance": ".+", "$connector": ".+"}
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels()]
QUERIES = [query.expr for _, panel in PANELS for query in panel.queries]


def without_variables(expr: str) -> str:
    """The query as Prometheus gets it for some choice of the reader."""
    for variable, value in STAND_INS.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr, f"an unknown variable: {expr}"
    return expr


def test_what_grafana_is_given_is_what_the_code_says(tmp_path: Path) -> None:
    write(tmp_path)
    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert {file.name: file.read_text() for file in OUT.iterdir()} == written, "run `make dashboards`"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_every_query_is_accepted_by_promtool(tmp_path: Path) -> None:
    rules = [{"record": f"query:number{at}", "expr": without_variables(expr)} for at, expr in enumerate(QUERIES)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    ran = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(QUERIES)} rules found" in ran.stdout


@pytest.mark.parametrize("expr", sorted(set(QUERIES)))
def test_what_a_query_asks_for_is_served(expr: str) -> None:
    assert given.used_names(expr)
    assert given.problems(without_variables(expr), given.known_names()) == []


def test_every_metric_of_the_list_is_on_some_dashboard() -> None:
    shown = set().union(*map(given.used_names, QUERIES))
    recorded = {rule.record: given.used_names(rule.expr) for rule in given.rules() if rule.record}
    while more := set().union(*(recorded.get(name, set()) for name in shown)) - shown:
        shown |= more
    shown |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert metrics().keys() <= shown


@pytest.mark.parametrize(
    "query", [query for _, panel in PANELS for query in panel.queries], ids=lambda query: query.expr
)
def test_a_legend_names_labels_that_the_query_has(query: Query) -> None:
    for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
        held = set().union(*(given.known_names()[name] for name in given.used_names(query.expr)))
        assert label in held
        grouped = re.findall(r"\bby \(([^)]*)\)", query.expr)
        assert not grouped or any(label in labels for labels in grouped)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", ""))
def test_a_panel_explains_itself(dashboard: Dashboard, panel: Panel) -> None:
    assert panel.description.endswith((".", ")."))
    assert len(panel.description) > 10
    assert panel.unit
    assert all(query.legend for query in panel.queries) or panel.kind != "timeseries", dashboard.uid


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_a_dashboard_is_whole(dashboard: Dashboard) -> None:
    made = json.loads((OUT / f"{dashboard.uid}.json").read_text())
    assert made["schemaVersion"] == 41
    assert made["refresh"]
    assert made["tags"] == ["lintas"]
    assert [link["type"] for link in made["links"]] == ["dashboards", "link"]
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    asked = {variable["name"] for variable in made["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z_]+)\}?", json.dumps(made["panels"]))) - {"__rate_interval"}
    assert used <= asked


def test_the_first_row_of_the_overview_has_eight_figures() -> None:
    first = DASHBOARDS[0].rows[0].panels
    assert [panel.kind for panel in first] == ["stat"] * 8
    assert sum(panel.width for panel in first) == WIDTH


def test_ages_carry_exemplars() -> None:
    [queries] = [panel.queries for _, panel in PANELS if panel.title == "Age of events at delivery"]
    assert all(query.exemplars and "_bucket" in query.expr for query in queries)


@pytest.mark.parametrize("rule", [rule for rule in given.rules() if rule.alert], ids=lambda rule: rule.alert)
def test_an_alert_links_to_a_dashboard_and_a_variable_that_exist(rule: given.Rule) -> None:
    by_uid = {dashboard.uid: {variable.name for variable in dashboard.variables} for dashboard in DASHBOARDS}
    link = re.search(r"/d/([a-z-]+)(?:\?var-([a-z_]+)=)?", rule.annotations["dashboard_url"])
    assert link
    assert link[1] in by_uid
    assert not link[2] or link[2] in by_uid[link[1]]
