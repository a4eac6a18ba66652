"""Events of one request published: all are checked first, then all are sent; the answer tells what became of each."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from lintas_client import ClientError, MalformedEvent, NotEntitled, Problem, Receipt
from lintas_client.preparation import Prepared

from connectors.gateway import checking
from connectors.gateway.bus import Outlet
from connectors.gateway.incoming import Incoming
from connectors.gateway.refusal import KINDS, PREFIX, Refused, listed
from schemas.snapshot import PublishedEventType

Published = Literal["yes", "no", "unknown"]
RETRY_SECONDS: Final = "1"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event."""

    published: Published
    kind: str = ""  # of the problem details
    problems: Sequence[Problem] = ()

    def as_json(self, index: int, attributes: Mapping[str, str]) -> dict[str, Any]:
        """One entry of the results; an id is told only of what was published, never with an error."""
        if self.published == "yes":
            named = {name: attributes[name] for name in ("id", "source", "type")}
            return {"index": index, "published": "yes", "status": 200, **named}
        told: dict[str, Any] = {"index": index, "published": self.published}
        if self.kind:
            status, title = KINDS[self.kind]
            told |= {"type": PREFIX + self.kind, "title": title, "status": status, "errors": listed(self.problems)}
        return told


def check_all(
    events: Sequence[Incoming], system: str, mine: Mapping[str, PublishedEventType], *, batch: bool
) -> list[Prepared]:
    """Every event as it will be sent.

    Raises:
        Refused: one of them has problems; none is to be sent then.
    """
    checked = [checking.check(event, system, mine) for event in events]
    good = [one for one in checked if isinstance(one, Prepared)]
    if len(good) == len(events):
        return good
    outcomes = [
        Outcome("no") if isinstance(one, Prepared) else Outcome("no", checking.kind_of(one), one) for one in checked
    ]
    if not batch:
        raise _refused_alone(outcomes[0])
    bad = len(events) - len(good)
    raise Refused(
        "batch-refused",
        f"{bad} of {len(events)} events cannot be published, so none was.",
        cause="The program that made them and the event type's schema differ.",
        remedy="Mend what `results` names under `errors`, or leave those events out, and send the batch again.",
        results=_results([event.attributes for event in events], outcomes),
    )


async def send_all(outlet: Outlet, events: Sequence[Prepared], seconds: float) -> list[Outcome]:
    """Send events in order and wait for their acknowledgements.

    After the first that cannot be sent nothing more is: no event may overtake an earlier one of its key.

    Args:
        outlet: where to.
        events: what to send.
        seconds: how long to wait in all.
    """
    sent: list[asyncio.Future[Receipt]] = []
    failed: Outcome | None = None
    try:
        async with asyncio.timeout(seconds):
            for event in events:
                sent.append(await outlet.send_prepared(event))
                sent[-1].add_done_callback(_seen)
            await asyncio.wait(sent)
    except TimeoutError:
        failed = Outcome("unknown", "not-acknowledged")
    except ClientError as error:
        failed = _failure(error)
        if sent:
            await asyncio.wait(sent, timeout=seconds)
    outcomes = [_settled(one) for one in sent]
    if failed is not None and len(outcomes) < len(events):
        outcomes.append(failed)
    return outcomes + [Outcome("no", "not-acknowledged")] * (len(events) - len(outcomes))


def answer(events: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome], *, batch: bool) -> dict[str, Any]:
    """The answer to a request whose events, of which these are the attributes, were sent.

    Raises:
        Refused: not all are published for certain.
    """
    results = _results(events, outcomes)
    count = {of: sum(one.published == of for one in outcomes) for of in ("yes", "no", "unknown")}
    if count["yes"] == len(events):
        return {"published": count["yes"], "results": results} if batch else _without_index(results[0])
    kinds = {one.kind for one in outcomes if one.published != "yes"}
    if len(kinds) == 1 and not batch:
        raise _refused_alone(outcomes[0])
    raise Refused(
        "not-acknowledged",
        f"Published: {count['yes']}; not published: {count['no']}; not known: {count['unknown']}.",
        cause="A broker is being restarted or is overloaded, or a right was withdrawn meanwhile.",
        remedy="Send the same batch again, with the same ids: what was published already is dropped as a repeat.",
        headers={"retry-after": RETRY_SECONDS},
        results=results,
    )


def _results(events: Sequence[Mapping[str, str]], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [outcome.as_json(index, event) for index, (outcome, event) in enumerate(zip(outcomes, events, strict=True))]


def _refused_alone(outcome: Outcome) -> Refused:
    told = {
        "not-entitled": (
            "The system may not publish this event.",
            "The catalogue does not name it among the event type's publishers, or another system is the source.",
            "Compare with GET /event-types; the event type's owner names its publishers.",
        ),
        "too-large": (
            "The event is larger than the bus takes.",
            "A document or a picture stands in the event.",
            "Publish where it can be fetched instead (claim check).",
        ),
        "malformed-event": (
            "The envelope of the event has problems; nothing was published.",
            "A required attribute is missing, or one is not written as CloudEvents 1.0 says.",
            "Mend what `errors` names and send it again.",
        ),
        "invalid-event": (
            "The event has problems; nothing was published.",
            "The program that made it and the event type's schema differ.",
            "Mend what `errors` names and send it again; GET /event-types has the schema and an example.",
        ),
    }
    if outcome.kind in told:
        detail, cause, remedy = told[outcome.kind]
        return Refused(outcome.kind, detail, cause=cause, remedy=remedy, errors=listed(outcome.problems))
    return Refused(
        "not-acknowledged",
        "The bus did not confirm the event: it may have been published or not.",
        cause="A broker is being restarted or is overloaded.",
        remedy="Send it again, with the same id: a repeat is dropped.",
        headers={"retry-after": RETRY_SECONDS},
        published=outcome.published,
    )


def _seen(sent: asyncio.Future[Receipt]) -> None:
    """What becomes of an event that nobody waits for any more is no error of this program."""
    if not sent.cancelled():
        sent.exception()


def _settled(sent: asyncio.Future[Receipt]) -> Outcome:
    if not sent.done() or sent.cancelled():
        return Outcome("unknown", "not-acknowledged")
    error = sent.exception()
    return Outcome("yes") if error is None else _failure(error)


def _failure(error: BaseException) -> Outcome:
    if isinstance(error, NotEntitled):
        return Outcome("no", "not-entitled", [Problem("type", checking.NOT_ENTITLED, "the bus refuses it")])
    if isinstance(error, MalformedEvent):
        return Outcome("no", checking.kind_of(error.problems), error.problems)
    if isinstance(error, ClientError):
        return Outcome("unknown", "not-acknowledged")
    raise error


def _without_index(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "index"}
