"""Kafka, registry and PostgreSQL, as the exporter sees them from outside."""

from monitoring.dashboards.panels import NOTHING_WRONG, Dashboard, Row, graph, stat

_UP = ((None, "red"), (1, "green"))

KAFKA = Dashboard(
    "lintas-kafka",
    "Lintas: Kafka",
    "Brokers, copies, topics and what is written; the registry and PostgreSQL.",
    [
        Row(
            "Now",
            [
                stat(
                    "Kafka",
                    "1: it answered when it was last asked.",
                    'max(lintas_part_up{part="kafka"})',
                    "short",
                    steps=_UP,
                ),
                stat(
                    "Registry",
                    "1: the schema registry answered.",
                    'max(lintas_part_up{part="registry"})',
                    "short",
                    steps=_UP,
                ),
                stat("PostgreSQL", "1: it answered.", 'max(lintas_part_up{part="postgres"})', "short", steps=_UP),
                stat("Brokers", "Brokers that are alive.", "max(lintas_kafka_brokers)", "short"),
                stat(
                    "Controller",
                    "1 if the cluster has a controller.",
                    "max(lintas_kafka_controllers)",
                    "short",
                    steps=_UP,
                ),
                stat(
                    "Under-replicated",
                    "Partitions with fewer copies in step than they should have.",
                    'max(lintas_kafka_partitions{state="under_replicated"})',
                    "short",
                    steps=NOTHING_WRONG,
                ),
                stat(
                    "Under min ISR",
                    "Partitions with too few copies in step (ISR) to be written to.",
                    'max(lintas_kafka_partitions{state="under_min_isr"})',
                    "short",
                    steps=NOTHING_WRONG,
                ),
                stat(
                    "Offline",
                    "Partitions without a leader: neither written nor read.",
                    'max(lintas_kafka_partitions{state="offline"})',
                    "short",
                    steps=NOTHING_WRONG,
                ),
            ],
        ),
        Row(
            "Topics",
            [
                graph(
                    "Partitions",
                    "By state. under_replicated: copies are missing; under_min_isr: too few to write; offline: no leader.",
                    "short",
                    ("max by (state) (lintas_kafka_partitions)", "{{state}}"),
                ),
                graph(
                    "Topics",
                    "By kind: events, inboxes, dead letters, quarantine, audit, others.",
                    "short",
                    ("max by (kind) (lintas_kafka_topics)", "{{kind}}"),
                ),
                graph(
                    "Written",
                    "Records a second by kind of topic, transaction markers included.",
                    "cps",
                    ("deriv(lintas_kafka_end_offset[5m])", "{{kind}}"),
                ),
                graph(
                    "Written into inboxes",
                    "Records a second; the ten inboxes that grow fastest.",
                    "cps",
                    ("topk(10, deriv(lintas_inbox_end_offset[5m]))", "{{consumer}}"),
                ),
            ],
        ),
        Row(
            "Groups",
            [
                graph(
                    "Behind",
                    "Offsets that readers' groups have not committed; the ten that are most behind.",
                    "short",
                    ("topk(10, max by (group) (lintas_group_lag_events))", "{{group}}"),
                ),
                graph(
                    "Status",
                    "Groups by status over their last commits (after Burrow): ok; warn, falls behind; stall, the same offsets; stop, no commits; rewind, went back.",
                    "short",
                    ("sum by (status) (max by (group, status) (lintas_group_status))", "{{status}}"),
                ),
            ],
        ),
        Row(
            "Exporter",
            [
                graph(
                    "Rounds",
                    "How long a round of questions takes, and how old its answers are.",
                    "s",
                    ("max(lintas_exporter_round_duration_seconds)", "round"),
                    ("time() - max(lintas_exporter_last_round_timestamp_seconds)", "age"),
                ),
                graph(
                    "Complete",
                    "1 if the last round was complete; else all figures here are those of the last complete one.",
                    "short",
                    ("max(lintas_exporter_up)", "complete"),
                ),
            ],
        ),
    ],
)
