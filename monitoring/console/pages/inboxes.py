"""``/inboxes``: what lies in a consumer's inbox, values masked; conditions tried on a sample; nobody is disturbed."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from lintas import names
from lintas.errors import UnknownName
from lintas.settings import Settings
from monitoring.console.asking import actor_of, asked, done, snapshot_of
from monitoring.console.letters import SHORTEST_REASON, BadField, Filter, moment
from monitoring.console.page import Page, Visit, of_system
from monitoring.console.permissions import Right
from schemas.conditions import Condition, ConditionError
from schemas.snapshot import Snapshot
from streams import acting
from streams.acts_log import UNMASK
from streams.budget import Budget
from streams.inbox import PAGE, Deliveries, Delivery, Inbox, Looked, Place, Wanted
from streams.masked import Sight

FIELDS: Final = ("start", "at", "partition", "offset", "agreement", "header", "event_id", "where")
STARTS: Final = ("newest", "beginning", "time", "offset")
SAMPLE: Final = 1_000  # deliveries that a condition is tried on
LISTED: Final = 400  # looked at where nothing is looked for
SEARCHED: Final = 20_000
_NEWER, _OLDER, _TRY, _FOLLOW = "newer", "older", "try", "follow"  # beside showing what is looked for


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One delivery for people to read.

    Attributes:
        event: attributes and data as the person may see them; None if it cannot be read.
        data: the latter as text.
    """

    delivery: Delivery
    event: Mapping[str, Any] | None
    data: str


async def _systems(visit: Visit) -> Response:
    agency, snapshot = visit.only_agency(Right.SEE_INBOX), snapshot_of(visit)
    agreements = Counter(one.contract.consumer for one in snapshot.agreements.values())
    rows = [
        (system, snapshot.system(system).name, agreements[system])
        for system in sorted(snapshot.consumers())
        if agency in (None, acting.agency_of(system))
    ]
    return visit.render("inboxes.html", rows=rows)


async def _show(visit: Visit) -> Response:
    return await _look(visit, visit.query if visit.request.method == "GET" else visit.field)


async def _look(visit: Visit, field: Callable[[str], str]) -> Response:
    """A page of an inbox; the form says from where, and what is looked for."""
    snapshot, system, settings = snapshot_of(visit), visit.path("system"), visit.console.settings
    if system not in snapshot.consumers():
        raise UnknownName(kind="consumer system", name=system, suggestion="/inboxes lists them.")
    wanted = Filter.read(field, FIELDS if visit.request.method == "POST" else ("start", "agreement"))
    step, reason = visit.field("step"), visit.field("reason").strip()
    unmask = bool(visit.field("unmask"))
    lacks_reason = unmask and len(reason) < SHORTEST_REASON
    clear = unmask and not lacks_reason and visit.may(Right.UNMASK, acting.agency_of(system))
    if unmask and not clear:
        visit.console.measures.acted(UNMASK, "refused")
    agreements = sorted(name for name, one in snapshot.agreements.items() if one.contract.consumer == system)
    context: dict[str, Any] = {"wrong": None, "looked": None, "rows": [], "misfits": {}}
    status = 400 if lacks_reason else 200
    try:
        conditions, context["misfits"] = _conditions(snapshot, wanted, agreements, clear=clear)
        test = Wanted(conditions, _headers(snapshot, wanted, clear=clear))
        look = partial(_looked, settings, snapshot, system, test, wanted, step, visit.field("place"))
        if clear:
            actor, agency = actor_of(visit, Right.UNMASK), acting.agency_of(system)
            record = partial(acting.unmasked, agency=agency, reason=reason, told=_told)
            looked: Looked = await done(record, settings, look, actor, names.inbox_topic(system))
            visit.console.measures.acted(UNMASK, "done")
        else:
            looked = await asked(settings, look)
    except BadField as error:
        context["wrong"], status = error, 400
    else:
        context["looked"] = looked
        context["rows"] = [] if step == _TRY else [_row(snapshot, one, clear=clear) for one in looked.deliveries]
        context["older"] = None if looked.older is None else str(Place(looked.older))
        context["newer"] = str(Place(looked.newer))
    template = "inbox_rows.html" if visit.is_partial and context["looked"] else "inbox.html"
    return visit.render(
        template,
        system=system,
        name=snapshot.system(system).name,
        agreements=agreements,
        partitions=range(snapshot.system(system).inbox_partitions),
        starts=STARTS,
        filter=wanted,
        tried=step == _TRY,
        follows=step == _FOLLOW,
        clear=clear,
        reason=reason,
        lacks_reason=lacks_reason,
        shortest=SHORTEST_REASON,
        may_unmask=visit.may(Right.UNMASK, acting.agency_of(system)),
        **context,
        status=status,
    )


def _looked(
    settings: Settings, snapshot: Snapshot, system: str, test: Wanted, wanted: Filter, step: str, place: str
) -> Looked:
    inbox = Inbox(settings, system, snapshot.system(system).inbox_partitions, Deliveries(settings, snapshot))
    looks_for = any(wanted[name] for name in ("agreement", "header", "event_id", "where"))
    if step == _TRY:
        return inbox.newest(test, Budget(records=SAMPLE), page=SAMPLE)
    budget = Budget(records=SEARCHED if looks_for else LISTED)
    if step == _NEWER:
        return inbox.onward(test, budget, _place(place), PAGE)
    if step == _OLDER:
        return inbox.newest(test, budget, _place(place))
    start = "newest" if step == _FOLLOW else wanted["start"] or "newest"
    if start == "time":
        at = moment(wanted["at"], "at")
        if at is None:
            raise BadField("at", "letters.no_moment")
        return inbox.onward(test, budget, at)
    if start == "offset":
        if not (wanted["partition"].isdecimal() and wanted["offset"].isdecimal()):
            raise BadField("offset", "inboxes.no_offset")
        return inbox.onward(test, budget, {int(wanted["partition"]): int(wanted["offset"])})
    return inbox.onward(test, budget, None) if start == "beginning" else inbox.newest(test, budget)


def _place(text: str) -> Mapping[int, int]:
    try:
        return Place.read(text).positions
    except ValueError:
        raise BadField("place", "inboxes.no_offset") from None


def _conditions(
    snapshot: Snapshot, wanted: Filter, agreements: list[str], *, clear: bool
) -> tuple[dict[str, Condition] | None, dict[str, str]]:
    """The condition for each agreement that it fits, and why it does not fit the others.

    Raises:
        BadField: it fits none.
    """
    if not (expression := wanted["where"]):
        return None, {}
    fit: dict[str, Condition] = {}
    misfits: dict[str, str] = {}
    chosen = [wanted["agreement"]] if wanted["agreement"] in agreements else agreements
    for name in chosen:
        published = snapshot.agreements[name]
        try:
            condition = Condition(expression, published.released.schema)
        except ConditionError as error:
            misfits[name] = str(error)
            first = {"line": error.line, "column": error.column, "what": error.message}
            if len(chosen) == 1:
                raise BadField("where", "letters.where_wrong", **first) from None
            continue
        contract = snapshot.event_types[published.contract.event_type].contract
        if hidden := Sight(contract, clear=clear).objection(condition):
            raise BadField("where", "letters.where_masked", name=hidden)
        fit[name] = condition
    if not fit:
        raise BadField("where", "inboxes.fits_none", what=next(iter(misfits.values()), ""))
    return fit, misfits


def _headers(snapshot: Snapshot, wanted: Filter, *, clear: bool) -> Callable[[Delivery], bool]:
    """Whether a delivery has what is looked for in its headers; what is masked is not looked at."""
    text, agreement, event_id = wanted["header"].casefold(), wanted["agreement"], wanted["event_id"]

    def test(delivery: Delivery) -> bool:
        attributes = delivery.attributes
        if agreement and attributes.get("agreement") != agreement:
            return False
        if event_id and attributes.get("id") != event_id:
            return False
        if not text:
            return True
        sight = _sight(snapshot, delivery, clear=clear)
        return any(
            text in f"{name}: {value}".casefold()
            for name, value in attributes.items()
            if not sight.hides_attribute(name)
        )

    return test


def _told(looked: Looked) -> str:
    """Which deliveries were shown, for the log of acts."""
    return "shown: " + ", ".join(f"{one.partition}:{one.offset}" for one in looked.deliveries)


def _sight(snapshot: Snapshot, delivery: Delivery, *, clear: bool) -> Sight:
    published = snapshot.event_types.get(delivery.attributes.get("type", ""))
    return Sight(None if published is None else published.contract, clear=clear)


def _row(snapshot: Snapshot, delivery: Delivery, *, clear: bool) -> Row:
    event = delivery.seen_by(_sight(snapshot, delivery, clear=clear))
    data = "" if event is None else json.dumps(event["data"], indent=1, ensure_ascii=False)
    return Row(delivery, event, data)


PAGES: Final = (
    Page("/inboxes", Right.SEE_INBOX, _systems),
    Page("/inboxes/{system}", Right.SEE_INBOX, _show, agency=of_system),
    Page("/inboxes/{system}", Right.SEE_INBOX, _show, "POST", of_system),
)
