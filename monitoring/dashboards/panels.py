"""What dashboards are made of: panels in rows, and a dashboard as the JSON that Grafana reads (schema version 41)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["stat", "timeseries", "table"]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # Grafana's columns
NOTHING_WRONG = ((None, "green"), (1, "red"))


@dataclasses.dataclass(frozen=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL; ``$variable`` of the dashboard and ``$__rate_interval`` may stand in it.
        legend: of each series, with ``{{label}}``.
        exemplars: also fetch exemplars, which lead to traces.
    """

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        description: explains every term of title and legend to somebody new.
        unit: as Grafana names it: s, short, reqps ...
        width: of 24 columns.
        steps: value from which on a colour holds; the first value is None.
        links: title and address pairs.
        percent: the axis ends at 1.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    decimals: int | None = None
    steps: Sequence[tuple[float | None, str]] = ((None, "green"),)
    links: Sequence[tuple[str, str]] = ()

    def json(self, number: int, x: int, y: int) -> Json:
        """As Grafana reads it, at a place of the grid."""
        defaults: Json = {
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": [{"value": v, "color": colour} for v, colour in self.steps]},
            "links": [{"title": title, "url": url, "targetBlank": True} for title, url in self.links],
        }
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.kind == "timeseries":
            defaults["custom"] = {"fillOpacity": 8, "showPoints": "never", "spanNulls": False}
            defaults["min"] = 0
        else:
            defaults["color"] = {"mode": "thresholds"}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": _OPTIONS[self.kind],
            "targets": [self._target(query, "ABCDEFGH"[at]) for at, query in enumerate(self.queries)],
        } | ({"transformations": [_AS_TABLE]} if self.kind == "table" else {})

    def _target(self, query: Query, letter: str) -> Json:
        table = self.kind == "table"
        return {
            "refId": letter,
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "exemplar": query.exemplars,
            "instant": table,
            "range": not table,
            "format": "table" if table else "time_series",
        }


_OPTIONS: dict[Kind, Json] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
    },
    "timeseries": {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["lastNotNull", "max"],
            "sortBy": "Max",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
}
_AS_TABLE: Json = {"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True, "job": True}}}


@dataclasses.dataclass(frozen=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Panel]


@dataclasses.dataclass(frozen=True)
class Variable:
    """What the reader chooses; its values are those of a label.

    Attributes:
        name: ``$name`` in queries and ``var-name`` in addresses; also the label.
        metric: whose label it is.
        all_values: whether "all" can be chosen, and is at first.
    """

    name: str
    label: str
    metric: str
    all_values: bool = False

    def json(self) -> Json:
        """As Grafana reads it."""
        query = f"label_values({self.metric}, {self.name})"
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": SOURCE,
            "query": {"query": query, "refId": self.name},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": self.all_values,
            "includeAll": self.all_values,
        } | ({"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}} if self.all_values else {})


@dataclasses.dataclass(frozen=True)
class Dashboard:
    """One dashboard; it links to all others by their tag, and to the console.

    Attributes:
        uid: by which alerts and other dashboards link to it.
        page: of the console about the same thing.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    page: str = "/"

    def panels(self) -> Iterator[Panel]:
        """Every panel."""
        for row in self.rows:
            yield from row.panels

    def json(self) -> Json:
        """As Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["lintas"],
            "schemaVersion": 41,
            "editable": False,
            "timezone": "browser",
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "graphTooltip": 1,
            "links": [
                {"type": "dashboards", "title": "Lintas", "tags": ["lintas"], "asDropdown": True, "keepTime": True},
                {"type": "link", "title": "Console", "url": "${console}" + self.page, "targetBlank": True},
            ],
            "templating": {"list": [_DATASOURCE, _CONSOLE, *(variable.json() for variable in self.variables)]},
            "panels": list(self._laid_out()),
        }

    def _laid_out(self) -> Iterator[Json]:
        number, y = 1, 0
        for row in self.rows:
            place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
            yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}
            number, y, x, below = number + 1, y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y = 0, y + below
                    below = 0
                yield panel.json(number, x, y)
                number, x, below = number + 1, x + panel.width, max(below, panel.height)
            y += below


_DATASOURCE: Json = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"}
_CONSOLE: Json = {
    "type": "textbox",
    "name": "console",
    "label": "Console",
    "query": "http://127.0.0.1:8460",
    "current": {"text": "http://127.0.0.1:8460", "value": "http://127.0.0.1:8460"},
}


def stat(title: str, description: str, expr: str, unit: str, **more: Any) -> Panel:
    """A number of the first row: three columns wide."""
    return Panel(title, description, [Query(expr, "")], unit, kind="stat", width=3, height=5, **more)


def graph(title: str, description: str, unit: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """Lines over time, each query with its legend."""
    return Panel(title, description, [Query(*query) for query in queries], unit, **more)


def table(title: str, description: str, expr: str, unit: str, **more: Any) -> Panel:
    """What holds now, a line a series."""
    return Panel(title, description, [Query(expr)], unit, kind="table", **more)
