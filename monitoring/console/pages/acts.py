"""``/acts``: who did what, when, to what and why; for the auditor also as a table to take along."""

import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Iterator
from itertools import islice
from typing import Final

from starlette.responses import Response

from lintas.settings import Settings
from monitoring.console.asking import asked
from monitoring.console.letters import BadField, Filter, moment
from monitoring.console.page import Page, Visit
from monitoring.console.permissions import Right
from streams.acts import acts_of
from streams.acts_log import ACTS, OUTCOMES, Act

FIELDS: Final = ("who", "act", "outcome", "agency", "text", "since", "until")
IN_ADDRESSES: Final = ("act", "outcome")  # the rest may tell of a person
SHOWN: Final = 100
MOST_SKIPPED: Final = 1_000_000
COLUMNS: Final = (
    "at",
    "subject",
    "role",
    "act",
    "target",
    "agency",
    "reason",
    "outcome",
    "detail",
    "ended",
    "address",
    "user_agent",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts are looked for.

    Attributes:
        agency_of_person: of a steward, who sees what concerns the own agency, and the own acts; None: all.
        person: the subject of whoever looks.
    """

    filter: Filter
    since: dt.datetime | None
    until: dt.datetime | None
    agency_of_person: str | None
    person: str

    def __call__(self, act: Act) -> bool:
        """Whether an act is looked for."""
        said = self.filter
        text = said["text"].casefold()
        return (
            (self.agency_of_person is None or act.agency == self.agency_of_person or act.actor.subject == self.person)
            and said["who"].casefold() in act.actor.subject.casefold()
            and said["act"] in ("", act.act)
            and said["outcome"] in ("", act.outcome)
            and said["agency"] in ("", act.agency)
            and (not text or any(text in one.casefold() for one in (act.target, act.reason, act.detail)))
            and (self.since is None or act.at >= self.since)
            and (self.until is None or act.at < self.until)
        )


def _wanted(visit: Visit) -> Wanted:
    is_form = visit.request.method == "POST"
    said = Filter.read(visit.field if is_form else visit.query, FIELDS if is_form else IN_ADDRESSES)
    since, until = moment(said["since"], "since"), moment(said["until"], "until")
    return Wanted(said, since, until, visit.only_agency(Right.SEE_ACTS), visit.person.subject)


def _found(settings: Settings, wanted: Wanted) -> Iterator[Act]:
    return filter(wanted, acts_of(settings).newest_first())


def _page_of(settings: Settings, wanted: Wanted, skip: int) -> tuple[list[Act], bool]:
    found = list(islice(_found(settings, wanted), skip, skip + SHOWN + 1))
    return found[:SHOWN], len(found) > SHOWN


async def _list(visit: Visit) -> Response:
    settings, skip = visit.console.settings, visit.field("skip")
    first = min(int(skip), MOST_SKIPPED) if skip.isdecimal() else 0
    wrong: BadField | None = None
    acts: list[Act] = []
    more = False
    try:
        wanted = _wanted(visit)
        said = wanted.filter
        acts, more = await asked(settings, _page_of, settings, wanted, first)
    except BadField as error:
        said, wrong = Filter.read(visit.field, FIELDS), error
    return visit.render(
        "acts.html",
        acts=acts,
        more=more,
        next=first + SHOWN,
        filter=said,
        kinds=ACTS,
        outcomes=OUTCOMES,
        wrong=wrong,
        own=visit.only_agency(Right.SEE_ACTS),
        status=400 if wrong else 200,
    )


async def _export(visit: Visit) -> Response:
    settings = visit.console.settings
    try:
        wanted = _wanted(visit)
    except BadField:
        return await _list(visit)
    acts = await asked(settings, lambda: list(_found(settings, wanted)))
    headers = {"content-disposition": 'attachment; filename="acts.csv"'}
    return Response(table_of(acts), media_type="text/csv; charset=utf-8", headers=headers)


def table_of(acts: list[Act]) -> str:
    """Acts as comma-separated values (RFC 4180); nothing in it is a formula to a spreadsheet."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for act in acts:
        ended = "" if act.ended is None else act.ended.isoformat()
        told = {**dataclasses.asdict(act), **dataclasses.asdict(act.actor), "at": act.at.isoformat(), "ended": ended}
        table.writerow([_plain(str(told[name])) for name in COLUMNS])
    return text.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


PAGES: Final = (
    Page("/acts", Right.SEE_ACTS, _list),
    Page("/acts", Right.SEE_ACTS, _list, "POST"),
    Page("/acts.csv", Right.SEE_ACTS, _export, "POST"),
)
