"""One agreement: what its consumer is given, how old, what it cannot be given, and whether it reads."""

from monitoring.dashboards.panels import Dashboard, Row, Variable, graph, table

AGREEMENT = Dashboard(
    "lintas-agreement",
    "Lintas: agreement",
    "What one consumer is given under an agreement, how old it is, what it could not be given, and whether it reads.",
    [
        Row(
            "Given",
            [
                graph(
                    "Decisions",
                    "Events a second by outcome: delivered, filtered (not this consumer's), dead, waiting (set aside), not in force.",
                    "cps",
                    ('agreement_outcome:lintas_decisions:rate5m{agreement=~"$agreement"}', "{{agreement}} {{outcome}}"),
                ),
                graph(
                    "Age at delivery",
                    "p99 of the age of live events when they are delivered.",
                    "s",
                    ('agreement:lintas_event_age_seconds:p99_rate5m{agreement=~"$agreement"}', "{{agreement}}"),
                ),
                graph(
                    "As the books have it",
                    "Events since the books began: routed under the agreement, and what became of them.",
                    "short",
                    (
                        'max by (agreement) (lintas_books_routed_events{agreement=~"$agreement"})',
                        "{{agreement}} routed",
                    ),
                    (
                        'max by (agreement, outcome) (lintas_books_agreement_events{agreement=~"$agreement"})',
                        "{{agreement}} {{outcome}}",
                    ),
                ),
                graph(
                    "Not live",
                    "Events a second that were resumed, redriven, backfilled or replayed; and what the books say was replayed in all.",
                    "short",
                    (
                        'sum by (agreement, reason) (rate(lintas_caught_up_events_total{agreement=~"$agreement"}[$__rate_interval]))',
                        "{{agreement}} {{reason}}",
                    ),
                    (
                        'max by (agreement, outcome) (lintas_books_replayed_events{agreement=~"$agreement"})',
                        "{{agreement}} replayed, {{outcome}}",
                    ),
                ),
            ],
        ),
        Row(
            "Not given",
            [
                graph(
                    "Dead letters",
                    "Events a second that could not be given, by the stage at which they failed: when, require, release, delivery, event, crash.",
                    "cps",
                    (
                        'sum by (agreement, stage) (rate(lintas_dead_letters_total{agreement=~"$agreement"}[$__rate_interval]))',
                        "{{agreement}} {{stage}}",
                    ),
                ),
                graph(
                    "Share of dead letters",
                    "Of the events decided within 15 minutes; 5% alerts.",
                    "percentunit",
                    ('agreement:lintas_dead_letters:ratio_rate15m{agreement=~"$agreement"}', "{{agreement}}"),
                ),
                graph(
                    "Set aside",
                    "Input partitions in which the agreement is set aside: its events wait there.",
                    "short",
                    ('max by (agreement) (lintas_set_aside_partitions{agreement=~"$agreement"})', "{{agreement}}"),
                ),
                table(
                    "Agreement",
                    "Event type, both sides, channel and standing.",
                    'max by (agreement, event_type, provider, consumer, channel, standing) (lintas_agreement_info{agreement=~"$agreement"})',
                    "short",
                ),
            ],
        ),
        Row(
            "Read",
            [
                graph(
                    "Readers' lag in seconds",
                    "Age of the oldest event in the inbox that a group has not read, for the consumer of the agreement.",
                    "s",
                    (
                        'max by (group, consumer) (lintas_group_lag_seconds) and on (consumer) lintas_agreement_info{agreement=~"$agreement"}',
                        "{{group}}",
                    ),
                ),
                graph(
                    "Readers' lag in events",
                    "Offsets of the inbox that a group has not committed, transaction markers included.",
                    "short",
                    (
                        'max by (group, consumer) (lintas_group_lag_events) and on (consumer) lintas_agreement_info{agreement=~"$agreement"}',
                        "{{group}}",
                    ),
                ),
                graph(
                    "Inbox",
                    "Records that come into the consumer's inbox a second, of all its agreements.",
                    "cps",
                    (
                        'deriv(lintas_inbox_end_offset[5m]) and on (consumer) lintas_agreement_info{agreement=~"$agreement"}',
                        "{{consumer}}",
                    ),
                ),
                graph(
                    "Readers",
                    "Members of each consumer's group at this moment.",
                    "short",
                    ("max by (group) (lintas_group_members)", "{{group}}"),
                ),
                table(
                    "Ends",
                    "Seconds until the agreement's validity ends.",
                    'max by (agreement) (lintas_agreement_ends_timestamp_seconds{agreement=~"$agreement"}) - time()',
                    "s",
                    width=24,
                ),
            ],
        ),
    ],
    [Variable("agreement", "Agreement", "lintas_agreement_info", all_values=True)],
    page="/agreements",
)
