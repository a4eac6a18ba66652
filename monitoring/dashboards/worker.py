"""Workers and their lanes: who carries what, how fast, and in which catalogue."""

from monitoring.dashboards.panels import NOTHING_WRONG, Dashboard, Row, Variable, graph, stat, table

WORKER = Dashboard(
    "lintas-worker",
    "Lintas: workers",
    "Who carries which lane, how long batches and commits take, and which catalogue is in force.",
    [
        Row(
            "Lanes",
            [
                stat("Workers", "Members of the workers' group, as Kafka knows them.", "max(lintas_workers)", "short"),
                stat("Lanes", "Lanes of the newest generation.", "max(lintas_lanes)", "short"),
                stat(
                    "Open",
                    "1 if that generation is open; 0 while a resize is under way.",
                    "max(lintas_lanes_open)",
                    "short",
                ),
                stat(
                    "Without owner",
                    "Lanes that no worker holds. Must be 0.",
                    "max(lintas_lanes) - bus:lintas_lanes_held:count",
                    "short",
                    steps=NOTHING_WRONG,
                ),
                stat(
                    "Stopped",
                    "Lanes that wait for a person; the worker's log says why. Must be 0.",
                    "sum(max by (lane) (lintas_lane_stopped)) or vector(0)",
                    "short",
                    steps=NOTHING_WRONG,
                ),
                graph(
                    "Lanes by worker",
                    "Lanes that each worker has taken over and carries.",
                    "short",
                    ('sum by (instance) (lintas_lane_running{instance=~"$instance"})', "{{instance}}"),
                    width=9,
                    height=5,
                ),
            ],
        ),
        Row(
            "Batches",
            [
                graph(
                    "Events decided",
                    "Live events a second by worker.",
                    "cps",
                    (
                        'sum by (instance) (rate(lintas_events_total{instance=~"$instance"}[$__rate_interval]))',
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Events in a transaction",
                    "Mean and p99 of the events in one transaction of a lane.",
                    "short",
                    (
                        'sum(rate(lintas_batch_events_sum{instance=~"$instance"}[$__rate_interval])) / sum(rate(lintas_batch_events_count{instance=~"$instance"}[$__rate_interval]))',
                        "mean",
                    ),
                    (
                        'histogram_quantile(0.99, sum by (le) (rate(lintas_batch_events_bucket{instance=~"$instance"}[$__rate_interval])))',
                        "p99",
                    ),
                ),
                graph(
                    "Time of stages",
                    "p99 of how long a lane takes to decide a batch, waiting for its turn included, and to commit it.",
                    "s",
                    (
                        'histogram_quantile(0.99, sum by (stage, instance, le) (rate(lintas_lane_stage_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
                        "{{instance}} {{stage}}",
                    ),
                ),
                graph(
                    "Transactions",
                    "A second, by outcome: committed; refused, a consumer's topic did not take what was written; doubtful, the answer was lost and the lane owns its work anew.",
                    "cps",
                    (
                        'sum by (outcome) (rate(lintas_transactions_total{instance=~"$instance"}[$__rate_interval]))',
                        "{{outcome}}",
                    ),
                ),
            ],
        ),
        Row(
            "Hand-overs",
            [
                graph(
                    "Rebalances",
                    "How often the group handed lanes out anew within 10 minutes.",
                    "short",
                    ('increase(lintas_rebalances_total{instance=~"$instance"}[10m])', "{{instance}}"),
                ),
                graph(
                    "Take-overs",
                    "How often lanes were owned within 10 minutes: the first time, and after every doubt.",
                    "short",
                    ('increase(lintas_lane_takeovers_total{instance=~"$instance"}[10m])', "{{instance}}"),
                ),
            ],
        ),
        Row(
            "Catalogue",
            [
                table(
                    "To be in force",
                    "Digest of the catalogue that was applied last.",
                    "max by (digest) (lintas_catalogue_current_info)",
                    "short",
                    width=6,
                ),
                table(
                    "In force at workers",
                    "Digest of the catalogue that each worker has.",
                    'max by (instance, digest) (lintas_catalogue_info{instance=~"$instance"})',
                    "short",
                    width=9,
                ),
                table(
                    "In force at lanes",
                    "Digest that each lane last reported.",
                    "max by (lane, digest) (lintas_lane_catalogue_info)",
                    "short",
                    width=9,
                ),
                graph(
                    "Time since",
                    "Since the catalogue was applied, and since each worker took it up.",
                    "s",
                    ("time() - max(lintas_catalogue_applied_timestamp_seconds)", "applied"),
                    (
                        'time() - max by (instance) (lintas_catalogue_taken_up_timestamp_seconds{instance=~"$instance"})',
                        "{{instance}}",
                    ),
                    width=24,
                ),
            ],
        ),
    ],
    [Variable("instance", "Worker", "lintas_lane_running", all_values=True)],
    page="/workers",
)
