"""What answers mean, what is permitted, how often and when to try again: all that is decided without I/O."""

import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.plugins.webhook.answers import LONGEST_PAUSE_SECONDS, Answer, outcome, retry_after
from connectors.plugins.webhook.gate import Gate
from connectors.plugins.webhook.handshake import Denied, Permission, cannot_say, permission, request_headers
from connectors.plugins.webhook.rate import Allowance
from connectors.plugins.webhook.schedule import Schedule

NOW = dt.datetime(2026, 11, 26, 12, 0, 0, tzinfo=dt.UTC)
ORIGIN, URL = "bus.example.go.id", "https://r.example/hook"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_says_that_the_receiver_has_it(status: int) -> None:
    assert outcome(Answer(status), NOW).delivered


@pytest.mark.parametrize(
    ("status", "reason", "gone", "ails"),
    [
        (301, "redirect", False, True),
        (302, "redirect", False, True),
        (307, "redirect", False, True),
        (400, "http-400", False, False),  # about the event
        (401, "http-401", False, True),
        (404, "http-404", False, True),
        (410, "http-410", True, True),
        (415, "http-415", False, False),
        (422, "http-422", False, False),
        (429, "http-429", False, True),
        (500, "http-500", False, True),
        (503, "http-503", False, True),
    ],
)
def test_anything_else_is_a_failure_with_a_reason(status: int, reason: str, *, gone: bool, ails: bool) -> None:
    found = outcome(Answer(status, {"location": "https://elsewhere.example"}), NOW)
    assert (found.delivered, found.reason, found.status) == (False, reason, status)
    assert (found.gone, found.receiver_ails) == (gone, ails)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),  # past
        ("9" * 400, LONGEST_PAUSE_SECONDS),
        ("Fri, 26 Nov 2027 12:00:00 GMT", LONGEST_PAUSE_SECONDS),
        ("Fri, 26 Nov 99999999999999999999 12:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("\u00b2", None),  # a digit to Python, none to HTTP
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_moment(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds


@given(st.text())
def test_no_retry_after_breaks_anything(text: str) -> None:
    found = retry_after(text, NOW)
    assert found is None or 0 <= found <= LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(("status", "pause"), [(429, 7.0), (503, 7.0), (500, None)])
def test_a_receiver_may_ask_to_be_left_alone(status: int, pause: float | None) -> None:
    assert outcome(Answer(status, {"retry-after": "7"}), NOW).pause_seconds == pause


def test_the_request_for_permission_names_origin_rate_and_callback() -> None:
    assert request_headers(ORIGIN, None, None) == {"WebHook-Request-Origin": ORIGIN}
    assert request_headers(ORIGIN, 120, "https://us.example/permit") == {
        "WebHook-Request-Origin": ORIGIN,
        "WebHook-Request-Rate": "120",
        "WebHook-Request-Callback": "https://us.example/permit",
    }


@pytest.mark.parametrize(
    ("origin", "rate", "asked", "per_minute"),
    [
        ("*", "*", None, None),
        (ORIGIN, "*", 60, 60),
        (ORIGIN.upper(), "100", None, 100),  # DNS names know no case
        ("*", "100", 60, 60),  # never more than asked for
        ("*", "30", 60, 30),
        ("*", None, 60, 60),  # the header must be there; what was asked for is the most that can be meant
        ("*", None, None, None),
    ],
)
def test_permission_is_in_the_headers(origin: str, rate: str | None, asked: int | None, per_minute: int | None) -> None:
    headers = {"webhook-allowed-origin": origin} | ({} if rate is None else {"webhook-allowed-rate": rate})
    for status in (200, 204, 405):  # the status says nothing
        assert permission(Answer(status, headers), URL, ORIGIN, asked, 5) == Permission(URL, ORIGIN, per_minute, 5)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-allowed-origin": "other.example"},
        {"webhook-allowed-origin": f"{ORIGIN}.evil.example"},
        {"webhook-allowed-origin": ""},
        {"webhook-allowed-origin": "*", "webhook-allowed-rate": "0"},
        {"webhook-allowed-origin": "*", "webhook-allowed-rate": "-1"},
        {"webhook-allowed-origin": "*", "webhook-allowed-rate": "many"},
        {"webhook-allowed-origin": "*", "webhook-allowed-rate": "9" * 5000},
    ],
)
def test_nothing_else_is_consent(headers: dict[str, str]) -> None:
    with pytest.raises(Denied):
        permission(Answer(200, headers), URL, ORIGIN, None, 5)


def test_a_receiver_that_is_out_of_order_has_not_refused() -> None:
    assert [status for status in (200, 403, 405, 408, 429, 500, 503) if cannot_say(Answer(status))] == [
        408,
        429,
        500,
        503,
    ]


@given(
    per_minute=st.integers(1, 5000),
    waits=st.lists(st.floats(0, 30), min_size=1, max_size=60),
)
def test_no_minute_sees_more_requests_than_are_allowed(per_minute: int, waits: list[float]) -> None:
    now, sent = 0.0, list[float]()
    allowance = Allowance(per_minute, now)
    for wait in waits:
        now += wait
        while allowance.take(now):
            sent.append(now)
    for index, at in enumerate(sent):
        assert sum(at <= other < at + 60 - 1e-6 for other in sent[index:]) <= per_minute


@pytest.mark.parametrize("per_minute", [1, 2, 59, 60, 600, 6000])
def test_what_is_allowed_can_be_used(per_minute: int) -> None:
    now, sent = 0.0, 0
    allowance = Allowance(per_minute, now)
    while now < 600:
        sent += allowance.take(now)
        now += allowance.wait(now) + 1e-9
    assert sent >= 10 * per_minute * 0.98 - 1


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    allowance = Allowance(60, 10_000)
    assert not allowance.take(5000)
    assert allowance.take(5001)


def test_without_a_limit_there_is_none() -> None:
    allowance = Allowance(None, 0)
    assert all(allowance.take(0) for _ in range(100_000))


@given(attempts=st.integers(1, 100), since=st.integers(0, 86_399_999), seed=st.integers())
def test_delays_grow_with_jitter_and_the_last_attempt_is_when_the_time_is_over(
    attempts: int, since: int, seed: int
) -> None:
    schedule = Schedule((5, 30, 120), 86_400, random.Random(seed))
    found = schedule.next_ms(attempts, 1_000_000, 1_000_000 + since)
    assert found is not None
    delay = (5, 30, 120)[min(attempts, 3) - 1] * 1000
    last = 1_000_000 + 86_400_000
    assert found == last or delay * 0.8 - 1 <= found - 1_000_000 - since <= delay * 1.2 + 1
    assert found <= last


def test_after_the_last_attempt_there_is_none() -> None:
    schedule = Schedule((5,), 86_400, random.Random(1))
    assert schedule.next_ms(9, 0, 86_400_000) is None


def test_ten_keys_that_fail_one_after_the_other_shut_the_gate_and_one_request_opens_it() -> None:
    gate = Gate()
    for _ in range(9):
        gate.failed(0, first_attempt=True)
    assert gate.slots(8, 0) == 8
    gate.failed(0, first_attempt=True)
    assert gate.slots(8, 999) == 0
    assert gate.slots(8, 1000) == 1  # one request, to see
    gate.failed(1000, first_attempt=False)
    assert (gate.slots(8, 2999), gate.slots(8, 3000)) == (0, 1)  # twice as long
    assert gate.answered()
    assert gate.slots(8, 3000) == 8
    assert not gate.answered()  # it was open


def test_events_that_a_receiver_never_takes_do_not_shut_the_gate_for_others() -> None:
    gate = Gate()
    for _ in range(100):
        gate.failed(0, first_attempt=False)
    assert gate.slots(8, 0) == 8


def test_the_gate_rests_half_a_minute_at_most_and_counts_what_was_under_way_once() -> None:
    gate, now = Gate(), 0
    for _ in range(20):
        gate.failed(now, first_attempt=True)
    assert gate.slots(8, 1000) == 1
    for _ in range(20):
        gate.failed(now, first_attempt=False)
        while gate.slots(8, now) == 0:
            now += 1000
    before = now
    gate.failed(now, first_attempt=False)
    while gate.slots(8, now) == 0:
        now += 1000
    assert now - before == 30_000
