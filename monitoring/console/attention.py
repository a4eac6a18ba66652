"""What needs somebody's attention, from what is known of the bus. Pure."""

import dataclasses
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from monitoring.console.catalogue_view import Catalogue
from monitoring.console.ledger import Ledger
from schemas.model import JAKARTA
from streams.overview import Overview

SOON_DAYS: Final = 30  # before an agreement ends
BEHIND_EVENTS: Final = 10_000  # a lane that far behind is told of


@dataclasses.dataclass(frozen=True, slots=True)
class Matter:
    """Something that somebody should look at.

    Attributes:
        grade: bad: something is wrong now; warn: it will be, or waits for a person.
        kind: the text ``attention.<kind>`` says it.
        about: what it is about: an agreement, event type, system, agency or lane.
        link: where to look.
        values: of the text.
    """

    grade: Literal["bad", "warn"]
    kind: str
    about: str
    link: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def matters(catalogue: Catalogue | None, ledger: Ledger | None, lanes: Overview | None, today: dt.date) -> list[Matter]:
    """Everything, what is wrong now first; what is not known yet gives nothing."""
    found = [
        *(_of_lanes(lanes) if lanes else ()),
        *(_of_books(ledger, catalogue) if ledger else ()),
        *(_of_agreements(catalogue, today) if catalogue else ()),
    ]
    return sorted(found, key=lambda matter: matter.grade != "bad")


def today_in_jakarta() -> dt.date:
    """The day that agreements begin and end by."""
    return dt.datetime.now(JAKARTA).date()


def _of_lanes(lanes: Overview) -> Iterator[Matter]:
    if not lanes.workers:
        yield Matter("bad", "no_worker", "", "/workers")
    if not lanes.open:
        yield Matter("warn", "resize", "", "/workers", {"lanes": lanes.plan.lanes})
    for lane in lanes.lanes:
        if lane.lost:
            yield Matter("bad", "lane_lost", str(lane.lane), "/workers", {"n": len(lane.lost)})
        elif lane.worker is None and lane.inputs:
            yield Matter("bad", "lane_without_worker", str(lane.lane), "/workers")
        if lane.behind >= BEHIND_EVENTS:
            yield Matter("warn", "lane_behind", str(lane.lane), "/workers", {"n": lane.behind})
    aside: defaultdict[str, list[str]] = defaultdict(list)
    for (agreement, _, _), why in lanes.aside.items():
        aside[agreement].append(why.reason)
    for agreement, reasons in sorted(aside.items()):
        reason = Counter(reasons).most_common(1)[0][0]
        yield Matter("bad", "aside", agreement, f"/agreements/{agreement}", {"n": len(reasons), "reason": reason})


def _of_books(ledger: Ledger, catalogue: Catalogue | None) -> Iterator[Matter]:
    topics = {one.topic: name for name, one in catalogue.snapshot.event_types.items()} if catalogue else {}
    agreements = catalogue.snapshot.agreements if catalogue else {}
    for difference in ledger.differences:
        link = "/workers"
        if difference.about in agreements:
            link = f"/agreements/{difference.about}"
        elif difference.about in topics:
            link = f"/event-types/{topics[difference.about]}"
        values = {"n": len(difference.places), "kind": difference.kind}
        yield Matter("bad", "difference", difference.about, link, values)
    for name, totals in sorted(ledger.agreements.items(), key=lambda one: -one[1].dead):
        if totals.dead and name in agreements:
            link = f"/dead-letters/{agreements[name].contract.consumer}?agreement={name}"
            yield Matter("warn", "dead", name, link, {"n": totals.dead})
    quarantined: Counter[str] = Counter()
    for event_type, types in ledger.event_types.items():
        if types.quarantined and catalogue and event_type in catalogue.snapshot.event_types:
            quarantined[catalogue.snapshot.event_types[event_type].contract.owner] += types.quarantined
    for agency, events in quarantined.most_common():
        yield Matter("warn", "quarantine", agency, f"/quarantine/{agency}", {"n": events})


def _of_agreements(catalogue: Catalogue, today: dt.date) -> Iterator[Matter]:
    ending = []
    for name, published in catalogue.snapshot.agreements.items():
        days = (published.contract.valid.until - today).days
        if 0 <= days <= SOON_DAYS:
            ending.append((days, name))
    for days, name in sorted(ending):
        yield Matter("warn", "ends", name, f"/agreements/{name}", {"n": days})


def owner_of_letters(link: str) -> str | None:
    """The agency whose letters a link leads to; None if it leads elsewhere."""
    for prefix in ("/dead-letters/", "/quarantine/"):
        if link.startswith(prefix):
            return link.removeprefix(prefix).partition("?")[0].partition(".")[0]
    return None
