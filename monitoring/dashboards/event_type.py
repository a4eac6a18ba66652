"""One event type: who publishes how much, what becomes of it, how far the lanes are."""

from monitoring.dashboards.panels import Dashboard, Row, Variable, graph, table

EVENT_TYPE = Dashboard(
    "lintas-event-type",
    "Lintas: event type",
    "What is published of one event type, what becomes of it, and how far behind the lanes are.",
    [
        Row(
            "Flow",
            [
                graph(
                    "Published and decided",
                    "Events a second: routed, given to agreements; duplicate, repeats that were dropped; quarantined, given to no one.",
                    "cps",
                    (
                        'event_type_outcome:lintas_events:rate5m{event_type=~"$event_type"}',
                        "{{event_type}} {{outcome}}",
                    ),
                ),
                graph(
                    "Bytes",
                    "Bytes a second, as they lie uncompressed in record batches.",
                    "Bps",
                    (
                        'sum by (event_type) (rate(lintas_event_bytes_total{event_type=~"$event_type"}[$__rate_interval]))',
                        "{{event_type}}",
                    ),
                ),
                graph(
                    "Age at delivery",
                    "p99 of the age of live events when they are delivered.",
                    "s",
                    ('event_type:lintas_event_age_seconds:p99_rate5m{event_type=~"$event_type"}', "{{event_type}}"),
                ),
                graph(
                    "Lag in seconds",
                    "Age of the oldest event that no lane has decided.",
                    "s",
                    ('event_type:lintas_lag_seconds:max{event_type=~"$event_type"}', "{{event_type}}"),
                ),
                graph(
                    "Lag in events",
                    "Offsets behind which the lanes are, transaction markers included.",
                    "short",
                    ('max by (event_type) (lintas_lag_events{event_type=~"$event_type"})', "{{event_type}}"),
                ),
                graph(
                    "Positions missing",
                    "Input partitions whose position Kafka has lost; their lane does not start. Must be 0.",
                    "short",
                    ('max by (event_type) (lintas_positions_missing{event_type=~"$event_type"})', "{{event_type}}"),
                ),
            ],
        ),
        Row(
            "What fails",
            [
                graph(
                    "Quarantined",
                    "Events a second that no one can be given, by stage: envelope, framing, schema, data, or a crash of the code.",
                    "cps",
                    (
                        'sum by (event_type, stage) (rate(lintas_quarantined_events_total{event_type=~"$event_type"}[$__rate_interval]))',
                        "{{event_type}} {{stage}}",
                    ),
                ),
                graph(
                    "Dead letters",
                    "Events a second that one consumer could not be given, by agreement.",
                    "cps",
                    (
                        'sum by (agreement) (rate(lintas_dead_letters_total{event_type=~"$event_type"}[$__rate_interval]))',
                        "{{agreement}}",
                    ),
                ),
                graph(
                    "Not live",
                    "Events a second that were decided outside the live flow: resumed, redriven, backfilled, replayed, readmitted.",
                    "cps",
                    (
                        'sum by (event_type, reason) (rate(lintas_caught_up_events_total{event_type=~"$event_type"}[$__rate_interval]))',
                        "{{event_type}} {{reason}}",
                    ),
                ),
                graph(
                    "In flight",
                    "Published events that no lane has come to yet, as the books have it.",
                    "short",
                    (
                        'max by (event_type) (lintas_books_in_flight_events{event_type=~"$event_type"})',
                        "{{event_type}}",
                    ),
                ),
            ],
        ),
        Row(
            "Agreements",
            [
                table(
                    "Who receives it",
                    "Agreements on this event type, their consumer, channel and standing.",
                    'max by (agreement, provider, consumer, channel, standing) (lintas_agreement_info{event_type=~"$event_type"})',
                    "short",
                    width=24,
                )
            ],
        ),
    ],
    [Variable("event_type", "Event type", "lintas_lag_events", all_values=True)],
    page="/event-types",
)
