"""Every event that the client publishes names a trace."""

from typing import Any

from lintas_client.preparation import prepare
from lintas_client.registry import EventType
from lintas_client.wire import trace_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT_TYPE = EventType.of_schema(
    7,
    {
        "type": "record",
        "name": "Thing",
        "fields": [{"name": "size", "type": "int"}],
        "lintas.event_type": "id.go.a.thing.v1",
        "lintas.topic": "events.a.thing.v1",
    },
)


def traceparent(**attributes: Any) -> str:
    headers = dict(prepare(EVENT_TYPE, "a.pub", {"size": 1}, **attributes).headers)
    return headers["ce_traceparent"].decode()


def test_an_event_begins_a_trace_that_nobody_else_began() -> None:
    begun = [traceparent() for _ in range(3)]
    assert all(trace_context.is_valid(one) and not trace_context.is_sampled(one) for one in begun)
    assert len({trace_context.trace_id(one) for one in begun}) == 3


def test_an_event_goes_on_with_the_trace_that_it_is_given() -> None:
    assert traceparent(extensions={"traceparent": GIVEN}) == GIVEN


def test_an_event_goes_on_with_the_trace_of_the_active_span() -> None:
    context = SpanContext(int(GIVEN[3:35], 16), int(GIVEN[36:52], 16), is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        assert traceparent() == GIVEN
    assert traceparent() != GIVEN


def test_a_trace_goes_on_with_a_new_span_and_what_names_none_begins_one() -> None:
    child = trace_context.continued(GIVEN)
    assert (child[:36], child[52:]) == (GIVEN[:36], GIVEN[52:])
    assert child[36:52] != GIVEN[36:52]
    for value in (None, "", "00-1", GIVEN.replace("00-", "ff-", 1)):
        begun = trace_context.continued(value)
        assert trace_context.is_valid(begun)
        assert trace_context.trace_id(begun) != trace_context.trace_id(GIVEN)
