"""The rule files as their tests read them: expressions, alerts, and which names and labels they use."""

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from monitoring.listed import metrics

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "monitoring/rules"
FILES = sorted(RULES.glob("*.yaml"))
CASES = sorted((RULES / "tests").glob("*.yaml"))

# Metrics that the bus does not make itself: Prometheus's own, and Alertmanager's, with the labels used of them.
FOREIGN = {
    "up": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate", "severity", "component"},
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_notifications_alertmanagers_discovered": set[str](),
    "prometheus_notifications_errors_total": set[str](),
    "prometheus_notifications_sent_total": set[str](),
    "alertmanager_notifications_failed_total": {"integration"},
}
SCRAPED = {"job", "instance"}
_ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}
_NAME = re.compile(
    r"(?<![\w:\"$.])(?:up|ALERTS|[a-z][a-z_]*:[a-z0-9_:]+|(?:lintas|prometheus|alertmanager)_[a-z_]+)(?![\w:(])"
)
_SELECTED = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|on|group_left|ignoring)\s*\(([^)]*)\)")


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule of a file; ``alert`` is empty for a recording rule and ``record`` for an alert."""

    file: Path
    alert: str
    record: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    waits: str


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Every rule of every file."""
    return tuple(_read())


def _read() -> Iterator[Rule]:
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield Rule(
                    file,
                    rule.get("alert", ""),
                    rule.get("record", ""),
                    rule["expr"],
                    rule.get("labels", {}),
                    rule.get("annotations", {}),
                    rule.get("for", ""),
                )


def alerts() -> dict[str, Rule]:
    """Alerts by name; of those with several windows the first."""
    found: dict[str, Rule] = {}
    for rule in rules():
        if rule.alert:
            found.setdefault(rule.alert, rule)
    return found


@functools.cache
def known_names() -> dict[str, set[str]]:
    """Labels by the name of every series that may be asked for: listed, foreign or recorded."""
    known = {name: labels | SCRAPED for name, labels in FOREIGN.items()}
    for metric in metrics().values():
        labels = set(metric.labels) | SCRAPED
        for ending in _ENDINGS.get(metric.kind, ("",)):
            known[metric.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    for rule in rules():
        if rule.record:
            level = rule.record.partition(":")[0]
            ours = {"bus": set[str](), "slo": {"slo"}, "agreement": {"agreement", "event_type"}}.get(level)
            known[rule.record] = (
                ours if ours is not None else set(re.findall(r"by \(([\w, ]+)\)", rule.expr)[0].split(", "))
            )
    return known


def used_names(expr: str) -> set[str]:
    """Names of series in an expression."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', re.sub(r"\{[^}]*\}", "", expr))))


def problems(expr: str, known: dict[str, set[str]]) -> list[str]:
    """What an expression asks for and cannot get.

    Args:
        expr: PromQL.
        known: labels by name, of everything that may be asked for.

    Returns:
        one text a problem: a name that nobody serves, a label that the series does not have.
    """
    names = used_names(expr)
    found = [f"nobody serves {name}" for name in sorted(names - known.keys())]
    for name, selectors in _SELECTED.findall(expr):
        labels = set(re.findall(r"([a-z_]+)\s*(?:=|!=)", selectors))
        found += [f"{name} has no label {label}" for label in sorted(labels - known.get(name, labels))]
    all_labels = {label for name in names & known.keys() for label in known[name]} | _made(expr)
    for grouped in _GROUPED.findall(expr):
        labels = {label.strip() for label in grouped.split(",") if label.strip()}
        found += [f"nothing here has the label {label}" for label in sorted(labels - all_labels)]
    return found


def _made(expr: str) -> set[str]:
    """Labels that the expression makes itself."""
    return set(re.findall(r'label_replace\(.*?,\s*"([a-z_]+)"', expr, re.DOTALL))


@functools.cache
def expectations() -> tuple[dict[str, Any], ...]:
    """What the cases expect of alerts, as promtool reads it."""
    return tuple(_expected())


def _expected() -> Iterator[dict[str, Any]]:
    for file in CASES:
        for case in yaml.load(file.read_text(), yaml.CSafeLoader)["tests"]:
            yield from case.get("alert_rule_test", ())
