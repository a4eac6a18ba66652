"""Connectors: which run, what they carry, which fail."""

from monitoring.dashboards.panels import NOTHING_WRONG, Dashboard, Row, Variable, graph, stat, table

CONNECTOR = Dashboard(
    "lintas-connector",
    "Lintas: connectors",
    "Which connectors run, what they bring in and carry out, which fail. Whose they are and why one failed is in the console.",
    [
        Row(
            "Connectors",
            [
                stat(
                    "Running",
                    "Connectors that work.",
                    'sum(lintas_connector_state{state="RUNNING"}) or vector(0)',
                    "short",
                ),
                stat(
                    "Paused or stopped",
                    "Connectors that people have paused or stopped.",
                    'sum(lintas_connector_state{state=~"PAUSED|STOPPED"}) or vector(0)',
                    "short",
                ),
                stat(
                    "Failed",
                    "Connectors that wait for their next attempt, or for a person. Must be 0.",
                    'sum(lintas_connector_state{state="FAILED"}) or vector(0)',
                    "short",
                    steps=NOTHING_WRONG,
                ),
                stat(
                    "Systems without a runtime",
                    "Systems whose connectors no runtime that answers runs. Must be 0.",
                    "count(max by (system) (lintas_connectors_owned) == 0) or vector(0)",
                    "short",
                    steps=NOTHING_WRONG,
                ),
                stat(
                    "Held back",
                    "Events that sinks have ceased to try; somebody must see to them.",
                    'sum(lintas_connector_held_events{waits_for="person"}) or vector(0)',
                    "short",
                    steps=NOTHING_WRONG,
                ),
                table(
                    "State of each",
                    "What each connector is now: its system, kind, and the runtime that runs it.",
                    'lintas_connector_state{connector=~"$connector"} == 1',
                    "short",
                    width=9,
                    height=5,
                ),
            ],
        ),
        Row(
            "What they carry",
            [
                graph(
                    "Events published",
                    "Events a second that sources have committed, by connector.",
                    "cps",
                    (
                        'sum by (connector) (rate(lintas_connector_events_total{connector=~"$connector"}[$__rate_interval]))',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Deliveries taken",
                    "Deliveries a second that sinks have taken, by connector.",
                    "cps",
                    (
                        'sum by (connector) (rate(lintas_connector_deliveries_total{connector=~"$connector"}[$__rate_interval]))',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Time a sink takes",
                    "p50 and p99 of how long a sink takes for what it is given at once.",
                    "s",
                    (
                        'histogram_quantile(0.5, sum by (connector, le) (rate(lintas_connector_delivery_duration_seconds_bucket{connector=~"$connector"}[$__rate_interval])))',
                        "{{connector}} p50",
                    ),
                    (
                        'histogram_quantile(0.99, sum by (connector, le) (rate(lintas_connector_delivery_duration_seconds_bucket{connector=~"$connector"}[$__rate_interval])))',
                        "{{connector}} p99",
                    ),
                ),
                graph(
                    "Transactions",
                    "Transactions a second, each of events and the progress that belongs to them.",
                    "cps",
                    (
                        'sum by (connector) (rate(lintas_connector_transactions_total{connector=~"$connector"}[$__rate_interval]))',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Time since the last transaction",
                    "How long a connector has committed nothing; long is well where there is nothing to carry.",
                    "s",
                    (
                        'time() - max by (connector) (lintas_connector_last_transaction_timestamp_seconds{connector=~"$connector"})',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Lag of sinks",
                    "Age of the oldest event in the inbox that a sink has not taken, by its group SYSTEM.connector.NAME.",
                    "s",
                    ('max by (group) (lintas_group_lag_seconds{group=~".+[.]connector[.]$connector"})', "{{group}}"),
                ),
            ],
        ),
        Row(
            "What goes wrong",
            [
                graph(
                    "Failures",
                    "How often a connector has failed within 10 minutes; each time it is begun anew after a pause.",
                    "short",
                    (
                        'sum by (connector) (increase(lintas_connector_failures_total{connector=~"$connector"}[10m]))',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Events refused",
                    "Events of sources within 10 minutes that the bus would not take, since they do not match their schema.",
                    "short",
                    (
                        'sum by (connector) (increase(lintas_connector_refused_events_total{connector=~"$connector"}[10m]))',
                        "{{connector}}",
                    ),
                ),
                graph(
                    "Events kept back",
                    "Events that a sink keeps back so that others need not wait: retry, it tries again by itself; person, it has ceased to.",
                    "short",
                    (
                        'sum by (connector, waits_for) (lintas_connector_held_events{connector=~"$connector"})',
                        "{{connector}} {{waits_for}}",
                    ),
                    width=24,
                ),
            ],
        ),
    ],
    [Variable("connector", "Connector", "lintas_connector_state", all_values=True)],
    page="/connectors",
)
