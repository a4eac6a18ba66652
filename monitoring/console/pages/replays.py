"""``/replays``: events of the past given to one consumer once more; tried first, watched, cancelled."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from lintas.errors import LintasError, UnknownName
from lintas.settings import Settings
from monitoring.console.asking import actor_of, asked, done, snapshot_of
from monitoring.console.errors import error_page
from monitoring.console.jobs import Progress as Told
from monitoring.console.jobs import TooMany
from monitoring.console.letters import BadField, Filter, moment
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from schemas.snapshot import Snapshot
from streams import acting
from streams.acts_log import CANCEL, REPLAY
from streams.replay import Asked, dry_run, has_ended, replays_of, request_for, same_as
from streams.replay_log import Replay
from streams.replay_progress import Progress, Span, progress_of, span_problem
from streams.status import status_now

FIELDS: Final = ("system", "since", "until", "type", "as_of", "rate")
SHOWN: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One replay for people to read; the events of ``agreements`` are given."""

    replay: Replay
    since: dt.datetime
    until: dt.datetime | None
    agreements: Sequence[Progress]
    ended: bool


def _systems(visit: Visit, snapshot: Snapshot, right: Right) -> list[str]:
    """The consumers that the person may see, or have something replayed to."""
    return sorted(one for one in snapshot.consumers() if visit.may(right, acting.agency_of(one)))


def _rows(settings: Settings, agency: str | None, system: str) -> list[Row]:
    replays, reached = replays_of(settings), status_now(settings).replayed
    rows = []
    for one in reversed(replays.all.values()):
        asks = one.request
        if agency not in (None, acting.agency_of(asks.system)) or system not in ("", asks.system):
            continue
        state = replays.state(one, reached)
        until = None if asks.until_ms is None else _moment(asks.until_ms)
        ended = has_ended(replays, one, state)
        rows.append(Row(one, _moment(asks.since_ms), until, progress_of(replays, one, state), ended))
        if len(rows) == SHOWN:
            break
    return rows


def _moment(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


async def _list(visit: Visit) -> Response:
    settings, snapshot = visit.console.settings, snapshot_of(visit)
    system = visit.query("system")
    if system and system not in _systems(visit, snapshot, Right.SEE_REPLAYS):
        raise UnknownName(kind="consumer system", name=system, suggestion="/replays lists them.")
    rows = await asked(settings, _rows, settings, visit.only_agency(Right.SEE_REPLAYS), system)
    if visit.is_partial:
        return visit.render("replays_table.html", rows=rows, system=system)
    return _page(visit, rows=rows, system=system, filter=Filter({"system": system}))


def _page(visit: Visit, *, status: int = 200, wrong: BadField | None = None, **context: Any) -> Response:
    snapshot = snapshot_of(visit)
    systems = _systems(visit, snapshot, Right.REPLAY)
    mine = {one.contract.event_type for one in snapshot.agreements.values() if one.contract.consumer in systems}
    return visit.render(
        "replays.html",
        systems=systems,
        event_types=sorted(mine),
        wrong=wrong,
        did=visit.query("did"),
        number_of=visit.query("number"),
        **context,
        status=status,
    )


def _asked(snapshot: Snapshot, wanted: Filter) -> Asked:
    """What a form asks for.

    Raises:
        BadField: it cannot be asked for.
    """
    if wanted["system"] not in snapshot.consumers():
        raise BadField("system", "replays.no_system")
    if wanted["type"] and wanted["type"] not in snapshot.event_types:
        raise BadField("type", "letters.unknown_type")
    since = moment(wanted["since"], "since")
    until, as_of = moment(wanted["until"], "until"), moment(wanted["as_of"], "as_of")
    if since is None:
        raise BadField("since", "replays.no_since")
    if (problem := span_problem(since, until, dt.datetime.now(dt.UTC))) is not None:
        raise BadField("since" if problem is Span.NOT_PAST else "until", f"replays.span_{problem}")
    rate = wanted["rate"]
    if rate and not (rate.isdecimal() and int(rate) > 0):
        raise BadField("rate", "replays.bad_rate")
    return Asked(wanted["system"], since, until, wanted["type"] or None, as_of, float(rate) if rate else None)


def _may(visit: Visit, system: str) -> bool:
    return visit.may(Right.REPLAY, acting.agency_of(system))


def _denied(visit: Visit) -> Response:
    title, text = visit.texts("frame.denied"), visit.texts("replays.denied")
    return error_page(visit.console, visit.request, 403, title, text, visit.session)


async def _refused(visit: Visit, wanted: Filter, error: BadField) -> Response:
    settings = visit.console.settings
    rows = await asked(settings, _rows, settings, visit.only_agency(Right.SEE_REPLAYS), "")
    return _page(visit, rows=rows, system="", filter=wanted, wrong=error, status=400)


async def _try(visit: Visit) -> Response:
    """Begin a dry run, and go to where it is shown."""
    settings, wanted = visit.console.settings, Filter.read(visit.field, FIELDS)
    if not _may(visit, wanted["system"]):
        return _denied(visit)
    try:
        asks = _asked(snapshot_of(visit), wanted)
        work = partial(_dry_run, settings, asks, visit.person.subject)
        job = visit.console.jobs.start(visit.person.subject, wanted.values, work)
    except BadField as error:
        return await _refused(visit, wanted, error)
    except TooMany:
        return await _refused(visit, wanted, BadField("system", "replays.too_many"))
    return visit.redirect(f"/replays/tries/{job.id}")


def _dry_run(settings: Settings, asks: Asked, author: str, progress: Told) -> Mapping[str, Any]:
    request = request_for(settings, asks, author=author, register=False)
    outcomes = dry_run(settings, request, progress)
    before = same_as(settings, asks)
    return {"outcomes": sorted(outcomes.items(), key=lambda one: (one[0][0], -one[1])), "before": before}


async def _tried(visit: Visit) -> Response:
    job = visit.console.jobs.get(visit.path("job"), visit.person.subject)
    if job is None:
        title, text = visit.texts("frame.not_found"), visit.texts("replays.no_try")
        return error_page(visit.console, visit.request, 404, title, text, visit.session)
    template = "replay_try_part.html" if visit.is_partial else "replay_try.html"
    return visit.render(template, job=job, hidden_fields=list(job.about.items()), result=job.result)


async def _start(visit: Visit) -> Response:
    settings, wanted = visit.console.settings, Filter.read(visit.field, FIELDS)
    if not _may(visit, wanted["system"]):
        return _denied(visit)
    try:
        asks = _asked(snapshot_of(visit), wanted)
    except BadField as error:
        return await _refused(visit, wanted, error)
    actor, reason = actor_of(visit, Right.REPLAY), visit.field("reason").strip()
    try:
        one: Replay = await done(acting.replay, settings, asks, actor, reason=reason)
    except LintasError:
        visit.console.measures.acted(REPLAY, "refused")
        raise
    visit.console.measures.acted(REPLAY, "done")
    return visit.redirect(f"/replays?did=replay&number={one.number}")


async def _cancel(visit: Visit) -> Response:
    system = visit.field("system").strip()
    if not _may(visit, system):
        return _denied(visit)
    if system not in snapshot_of(visit).consumers():
        raise UnknownName(kind="consumer system", name=system, suggestion="/replays lists them.")
    actor, reason = actor_of(visit, Right.REPLAY), visit.field("reason").strip()
    ended: list[Replay] = await done(acting.cancel, visit.console.settings, system, actor, reason=reason)
    visit.console.measures.acted(CANCEL, "done")
    return visit.redirect(f"/replays?did=cancel&number={len(ended)}")


PAGES: Final = (
    Page("/replays", Right.SEE_REPLAYS, _list),
    Page("/replays", Right.REPLAY, _start, "POST"),
    Page("/replays/try", Right.REPLAY, _try, "POST"),
    Page("/replays/cancel", Right.REPLAY, _cancel, "POST"),
    Page("/replays/tries/{job}", Right.REPLAY, _tried),
)
