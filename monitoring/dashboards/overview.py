"""The first page: whether events flow, in time and rightly, and what needs somebody."""

from monitoring.dashboards.panels import NOTHING_WRONG, Dashboard, Panel, Query, Row, graph, stat, table

_STATE = Row(
    "Now",
    [
        Panel(
            "Age of events",
            "How old live events are when the bus delivers them: from the broker's time of publication to the commit of the "
            "delivery. p50: half of the events are younger; p99: all but one in a hundred. The objective is 5 s.",
            [
                Query("bus:lintas_event_age_seconds:p50_rate5m", "p50"),
                Query("bus:lintas_event_age_seconds:p99_rate5m", "p99"),
            ],
            "s",
            kind="stat",
            width=3,
            height=5,
            steps=((None, "green"), (5, "orange"), (60, "red")),
        ),
        stat(
            "Delivered",
            "Deliveries a second: one event for one consumer each.",
            "bus:lintas_decisions_delivered:rate5m",
            "cps",
        ),
        stat(
            "Lag",
            "Age of the oldest event that no lane has decided yet.",
            "bus:lintas_lag_seconds:max",
            "s",
            steps=((None, "green"), (5, "orange"), (60, "red")),
        ),
        stat(
            "Books",
            "Places at which what was published, decided and delivered does not agree. Must be 0.",
            "bus:lintas_books_differences:sum",
            "short",
            steps=NOTHING_WRONG,
            links=(("Overview in the console", "${console}/"),),
        ),
        stat(
            "Canary",
            "How long nine in ten of the canary's events take from publisher to inbox. The canary is a synthetic event that goes "
            "the whole way every few seconds.",
            "histogram_quantile(0.9, sum by (le) (rate(lintas_canary_round_trip_seconds_bucket[5m])))",
            "s",
            steps=((None, "green"), (5, "red")),
        ),
        stat(
            "Set aside",
            "Agreements whose events wait, because the consumer's topics refuse records, most events die, or a backfill goes on.",
            "count(max by (agreement) (lintas_set_aside_partitions) > 0) or vector(0)",
            "short",
            steps=NOTHING_WRONG,
        ),
        stat(
            "Dead letters",
            "Events that one consumer could not be given, about which nobody has decided yet.",
            'sum(lintas_letters_waiting{topic=~"dead[.].+"})',
            "short",
            steps=((None, "green"), (1, "orange")),
            links=(("Dead letters in the console", "${console}/dead-letters"),),
        ),
        Panel(
            "Workers, lanes",
            "Members of the workers' group, and lanes without an owner. A lane is one of N slots of exactly-once work.",
            [
                Query("max(lintas_workers)", "workers"),
                Query("max(lintas_lanes) - bus:lintas_lanes_held:count", "lanes without owner"),
            ],
            "short",
            kind="stat",
            width=3,
            height=5,
        ),
    ],
)

_FLOW = Row(
    "Flow",
    [
        Panel(
            "Age of events at delivery",
            "p50, p99 over all agreements. Points are exemplars: single batches, each with a trace_id.",
            [
                Query(
                    f"histogram_quantile({q}, sum by (le) (rate(lintas_event_age_seconds_bucket[$__rate_interval])))",
                    name,
                    exemplars=True,
                )
                for q, name in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
        ),
        graph(
            "Decided",
            "What became of events for each agreement, a second. delivered; filtered: not this consumer's; dead: could not be given; "
            "waiting: the agreement is set aside; not_yet, expired, suspended: not in force.",
            "cps",
            ("sum by (outcome) (agreement_outcome:lintas_decisions:rate5m)", "{{outcome}}"),
        ),
        graph(
            "Lag by event type",
            "Age of the oldest undecided event; the ten event types that wait longest.",
            "s",
            ("topk(10, event_type:lintas_lag_seconds:max)", "{{event_type}}"),
        ),
        graph(
            "Slowest agreements",
            "p99 of the age at delivery; the ten oldest.",
            "s",
            ("topk(10, agreement:lintas_event_age_seconds:p99_rate5m)", "{{agreement}}"),
        ),
    ],
)

_RIGHT = Row(
    "Right",
    [
        graph(
            "Books",
            "Places that do not agree, by topic or agreement and kind (docs/how-to/watch-the-books.md).",
            "short",
            ("max by (about, kind) (lintas_books_differences) > 0", "{{about}} {{kind}}"),
        ),
        graph(
            "Published and decided, as the books have it",
            "Events since the books began: published; in flight: no lane has come to them yet; routed, duplicate, quarantined.",
            "short",
            ("sum(lintas_books_published_events)", "published"),
            ("sum(lintas_books_in_flight_events)", "in flight"),
            ("sum by (outcome) (lintas_books_decided_events)", "{{outcome}}"),
        ),
        graph(
            "Bookkeeper",
            "Age of the books, how long a round took, how much of the past they hold, and whether the last round was complete (1).",
            "s",
            ("time() - max(lintas_books_last_round_timestamp_seconds)", "age"),
            ("max(lintas_books_last_round_duration_seconds)", "round"),
            ("time() - max(lintas_books_from_timestamp_seconds)", "hold the last"),
            ("max(lintas_bookkeeper_up)", "complete"),
        ),
        graph(
            "Records read",
            "Records that the bookkeeper reads a second; many after a start.",
            "cps",
            ("sum(rate(lintas_books_records_read_total[$__rate_interval]))", "read"),
        ),
        graph(
            "Allowance left",
            "Of the errors that the objectives allow in 30 days: 1 untouched, 0 used up (docs/how-to/service-levels.md).",
            "percentunit",
            ("slo:lintas_error_budget_left:ratio30d", "{{slo}}"),
        ),
        graph(
            "Pace of errors",
            "How many times faster than allowed errors come, over an hour and over six; 14.4 and 6 call somebody.",
            "short",
            ("slo:lintas_errors:ratio_rate1h / on (slo) (1 - slo:lintas_objective:ratio)", "{{slo}} 1 h"),
            ("slo:lintas_errors:ratio_rate6h / on (slo) (1 - slo:lintas_objective:ratio)", "{{slo}} 6 h"),
        ),
    ],
)

_CANARY = Row(
    "Canary",
    [
        graph(
            "Canary",
            "From sending a synthetic event to reading it in the canary's inbox.",
            "s",
            (
                "histogram_quantile(0.5, sum by (le) (rate(lintas_canary_round_trip_seconds_bucket[$__rate_interval])))",
                "p50",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(lintas_canary_round_trip_seconds_bucket[$__rate_interval])))",
                "p99",
            ),
            ("time() - max(lintas_canary_last_received_timestamp_seconds)", "since the last"),
        ),
        graph(
            "Canary's events",
            "Missing: acknowledged and not read, most of them under way. Wrong: repeated, out of order or altered. Up: it can send and read.",
            "short",
            ("bus:lintas_canary_missing:difference", "missing"),
            ("sum by (problem) (lintas_canary_wrong_total)", "{{problem}}"),
            ("max(lintas_canary_up)", "up"),
        ),
        graph(
            "Canary's pace",
            "Events a second that Kafka acknowledged, and that arrived.",
            "cps",
            ("sum(rate(lintas_canary_sent_total[$__rate_interval]))", "sent"),
            ("sum(rate(lintas_canary_received_total[$__rate_interval]))", "received"),
            width=24,
        ),
    ],
)

_ATTENTION = Row(
    "Who waits for somebody",
    [
        table(
            "Set aside",
            "Agreements that are set aside, and in how many input partitions.",
            "max by (agreement, event_type) (lintas_set_aside_partitions) > 0",
            "short",
        ),
        table(
            "Letters",
            "Dead letters and quarantined events that wait for a decision, by topic.",
            "max by (topic) (lintas_letters_waiting) > 0",
            "short",
        ),
        table(
            "Readers that do not move",
            "Consumers' groups by status (after Burrow): warn, falls behind; stall, commits the same offsets; stop, commits nothing; rewind, went back.",
            'max by (group, status) (lintas_group_status{status!="ok"}) == 1',
            "short",
        ),
        table(
            "Readers behind",
            "Age of the oldest event that a group has not read; the ten that are most behind.",
            "topk(10, max by (group, consumer) (lintas_group_lag_seconds))",
            "s",
        ),
        table(
            "Agreements that end",
            "Seconds until the agreement's validity ends, within 30 days.",
            "max by (agreement) (lintas_agreement_ends_timestamp_seconds) - time() < 30 * 86400",
            "s",
        ),
        table("Alerts", "Alerts that fire.", 'ALERTS{alertstate="firing"}', "short"),
    ],
)

_CONSOLE = Row(
    "Console",
    [
        graph(
            "Requests",
            "Answers of the console a second, by status.",
            "reqps",
            ("sum by (status) (rate(lintas_console_requests_total[$__rate_interval]))", "{{status}}"),
        ),
        graph(
            "Time of answers",
            "p99 by page.",
            "s",
            (
                "histogram_quantile(0.99, sum by (page, le) (rate(lintas_console_request_duration_seconds_bucket[$__rate_interval])))",
                "{{page}}",
            ),
        ),
        graph(
            "Acts",
            "What people did within the hour: redrive, discard, replay, unmask ...",
            "short",
            ("sum by (act, outcome) (increase(lintas_console_acts_total[1h]))", "{{act}} {{outcome}}"),
        ),
        table(
            "Versions",
            "What runs, and which version.",
            "max by (program, version, instance) (lintas_build_info)",
            "short",
        ),
    ],
)

_GATEWAY = Row(
    "HTTP gateway",
    [
        graph(
            "Requests to the gateway",
            "Answers of the gateway a second, by route and status.",
            "reqps",
            ("sum by (route, status) (rate(lintas_gateway_requests_total[$__rate_interval]))", "{{route}} {{status}}"),
        ),
        graph(
            "Time of the gateway's answers",
            "p99 by route; of /inbox it holds the time that systems ask to wait.",
            "s",
            (
                "histogram_quantile(0.99, sum by (route, le) (rate(lintas_gateway_request_duration_seconds_bucket[$__rate_interval])))",
                "{{route}}",
            ),
        ),
        graph(
            "Events over HTTP",
            "Events a second that systems sent (published, refused, unconfirmed) and fetched (delivered).",
            "short",
            ("sum by (outcome) (rate(lintas_gateway_events_total[$__rate_interval]))", "{{outcome}}"),
        ),
        table(
            "Systems that met a limit",
            "Requests refused within the hour because the system asked for too much (429).",
            "sum by (system) (increase(lintas_gateway_limited_total[1h])) > 0",
            "short",
        ),
    ],
)

OVERVIEW = Dashboard(
    "lintas-overview",
    "Lintas: overview",
    "Whether events flow, in time and rightly, and what needs somebody.",
    [_STATE, _FLOW, _RIGHT, _CANARY, _ATTENTION, _CONSOLE, _GATEWAY],
)
