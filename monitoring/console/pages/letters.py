"""``/dead-letters`` and ``/quarantine``: what could not be given, why, and giving it again or deciding against it."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from lintas.errors import LintasError, UnknownName
from monitoring.console.asking import actor_of, asked, done, sees_whole, snapshot_of
from monitoring.console.errors import error_page
from monitoring.console.letters import (
    DEAD,
    FIELDS,
    IN_ADDRESSES,
    QUARANTINE,
    SHORTEST_REASON,
    BadField,
    Filter,
    Kind,
    causes,
    conditions_of,
    owner_of,
    release_of,
)
from monitoring.console.page import Page, Visit, of_agency, of_all, of_system
from monitoring.console.permissions import Right
from schemas.snapshot import Snapshot
from streams import acting
from streams.acts_log import DISCARD, REDRIVE, UNMASK
from streams.budget import Budget
from streams.letter_search import Newest, WithFate, letters_by_number, newest, search, waiting
from streams.letters import Letter
from streams.masked import EventViewer
from streams.redrive import attempt, left_to_give, outcomes_of

SHOWN: Final = 50
LISTED: Final = 2_000  # letters looked at where nothing is looked for
MOST_RAW: Final = 4_096  # bytes shown of an event that cannot be read


def _owner(visit: Visit) -> str:
    return str(visit.request.path_params.get("system") or visit.request.path_params["agency"])


def _known_owner(kind: Kind, visit: Visit) -> str:
    """Whose letters the page is about.

    Raises:
        UnknownName: there is no such system or agency in the catalogue.
    """
    owner, snapshot = _owner(visit), snapshot_of(visit)
    known = snapshot.consumers() if kind is DEAD else {one.contract.owner for one in snapshot.event_types.values()}
    if owner not in known:
        raise UnknownName(kind="owner of letters", name=owner, suggestion=f"{kind.base} lists them.")
    return owner


async def _owners(kind: Kind, visit: Visit) -> Response:
    """Whose letters there are, and how many wait for a decision."""
    agency = visit.only_agency(kind.right)
    snapshot = snapshot_of(visit)
    every = snapshot.consumers() if kind is DEAD else {one.contract.owner for one in snapshot.event_types.values()}
    owners = sorted(one for one in every if agency in (None, acting.agency_of(one)))
    found = await asked(visit.console.settings, waiting, visit.console.settings, [kind.topic(one) for one in owners])
    rows = [(one, _name(kind, snapshot, one), found[kind.topic(one)]) for one in owners]
    rows.sort(key=lambda row: (-row[2].open, row[0]))
    return visit.render("letter_owners.html", kind=kind, rows=rows)


def _name(kind: Kind, snapshot: Snapshot, owner: str) -> str:
    return snapshot.system(owner).name if kind is DEAD else snapshot.agencies[owner].name


async def _list(kind: Kind, visit: Visit) -> Response:
    owner, snapshot = _known_owner(kind, visit), snapshot_of(visit)
    is_form = visit.request.method == "POST"
    wanted = Filter.read(visit.field if is_form else visit.query, FIELDS if is_form else IN_ADDRESSES)
    before = visit.field("before")
    context: dict[str, Any] = {"wrong": None, "found": None, "causes": [], "shown": [], "before": None}
    try:
        query = wanted.search(snapshot, partial(sees_whole, visit))
        budget = Budget(records=LISTED) if wanted.is_empty else Budget()
        found: Newest = await asked(
            visit.console.settings,
            newest,
            visit.console.settings,
            snapshot,
            kind.topic(owner),
            query,
            before=int(before) if before.isdecimal() else None,
            budget=budget,
        )
    except BadField as error:
        context["wrong"] = error
    else:
        shown = found.letters[:SHOWN]
        more = len(found.letters) > len(shown)
        next_before = shown[-1][0].offset if more else found.from_offset
        context |= {
            "found": found,
            "causes": causes(found.letters),
            "shown": shown,
            "before": next_before if more or found.older else None,
        }
    agency = acting.agency_of(owner)
    return visit.render(
        "letters.html",
        kind=kind,
        owner=owner,
        name=_name(kind, snapshot, owner),
        filter=wanted,
        may_redrive=visit.may(Right.REDRIVE, agency),
        may_discard=visit.may(Right.DISCARD, agency),
        agreements=_agreements(kind, snapshot, owner),
        event_types=_event_types(kind, snapshot, owner),
        cause_address=partial(_cause_address, kind, owner),
        did=visit.query("did"),
        count=visit.query("count"),
        **context,
        status=400 if context["wrong"] else 200,
    )


def _cause_address(kind: Kind, owner: str, agreement: str, stage: str, rule: str) -> str:
    fields = {"agreement": agreement, "stage": stage, "rule": rule if "," not in rule else ""}
    return f"{kind.base}/{owner}?{urlencode({name: value for name, value in fields.items() if value})}"


def _agreements(kind: Kind, snapshot: Snapshot, owner: str) -> Sequence[str]:
    if kind is QUARANTINE:
        return ()
    return sorted(name for name, one in snapshot.agreements.items() if one.contract.consumer == owner)


def _event_types(kind: Kind, snapshot: Snapshot, owner: str) -> Sequence[str]:
    if kind is DEAD:
        return sorted({snapshot.agreements[one].contract.event_type for one in _agreements(kind, snapshot, owner)})
    return sorted(name for name, one in snapshot.event_types.items() if one.contract.owner == owner)


async def _progress(kind: Kind, visit: Visit) -> Response:
    """How many letters that somebody asked for are not given yet."""
    settings, snapshot, owner = visit.console.settings, snapshot_of(visit), _known_owner(kind, visit)
    left = await asked(settings, left_to_give, settings, snapshot, kind.topic(owner))
    template = "letters_progress.html" if visit.is_partial else "letters_progress_page.html"
    return visit.render(template, kind=kind, owner=owner, left=left)


@dataclasses.dataclass(frozen=True, slots=True)
class _Chosen:
    """The letters that a form is about, and the form's fields, to send them again."""

    letters: list[Letter]
    hidden: list[tuple[str, str]]


async def _chosen(kind: Kind, owner: str, visit: Visit) -> _Chosen:
    """What a form of acts means: letters by number, or all that are open and looked for.

    What came behind what the person has seen is not meant.

    Raises:
        BadField: the filter cannot be used.
        UnknownName: a letter is not there.
    """
    settings, topic = visit.console.settings, kind.topic(owner)
    wanted = Filter.read(visit.field)
    numbers = [int(one) for one in visit.form.getlist("letter") if isinstance(one, str) and one.isdecimal()]
    hidden = [("letter", str(number)) for number in numbers]
    found: list[WithFate]
    if visit.field("all"):
        snapshot = snapshot_of(visit)
        query = dataclasses.replace(wanted.search(snapshot, partial(sees_whole, visit)), every=False)
        through = visit.field("through")
        found = await done(search, settings, snapshot, topic, query)
        if through.isdecimal():
            found = [(letter, fate) for letter, fate in found if letter.offset <= int(through)]
        last = max((letter.offset for letter, _ in found), default=-1)
        hidden = [*wanted.values.items(), ("all", "1"), ("through", str(last))]
    elif numbers:
        found = await done(letters_by_number, settings, topic, numbers)
    else:
        raise BadField("letter", "letters.choose")
    return _Chosen([letter for letter, fate in found if fate is None], hidden)


async def _redrive(kind: Kind, visit: Visit) -> Response:
    """First what would become of them; the same form sent again with ``step=do`` does it."""
    return await _act(kind, visit, REDRIVE)


async def _discard(kind: Kind, visit: Visit) -> Response:
    return await _act(kind, visit, DISCARD)


async def _act(kind: Kind, visit: Visit, act: str) -> Response:
    settings, snapshot, owner = visit.console.settings, snapshot_of(visit), _known_owner(kind, visit)
    reason, doing = visit.field("reason").strip(), visit.field("step") == "do"
    try:
        chosen = await _chosen(kind, owner, visit)
    except BadField as error:
        visit.console.measures.acted(act, "refused")
        text = visit.texts(error.text, **error.values)
        return error_page(visit.console, visit.request, 400, visit.texts("letters.not_done"), text, visit.session)
    lacks_reason = doing and act == DISCARD and len(reason) < SHORTEST_REASON
    attempts = await done(attempt, settings, snapshot, chosen.letters) if act == REDRIVE else []
    if doing and not lacks_reason and chosen.letters:
        right = Right.REDRIVE if act == REDRIVE else Right.DISCARD
        actor = actor_of(visit, right)
        try:
            if act == REDRIVE:
                count = await done(acting.redrive, settings, attempts, actor, reason=reason)
            else:
                count = await done(acting.discard, settings, chosen.letters, actor, reason=reason)
        except LintasError:
            visit.console.measures.acted(act, "refused")
            raise
        visit.console.measures.acted(act, "done")
        return visit.redirect(f"{kind.base}/{owner}?did={act}&count={count}")
    outcomes = sorted(outcomes_of(attempts).items(), key=lambda one: (-one[1], one[0]))
    return visit.render(
        "letters_act.html",
        kind=kind,
        owner=owner,
        act=act,
        letters=chosen.letters,
        hidden_fields=chosen.hidden,
        outcomes=outcomes,
        given=sum(not one.stays for one in attempts),
        reason=reason,
        lacks_reason=lacks_reason,
        shortest=SHORTEST_REASON,
        status=400 if lacks_reason else 200,
    )


async def _one(kind: Kind, visit: Visit) -> Response:
    return await _letter(kind, visit)


async def _unmask(kind: Kind, visit: Visit) -> Response:
    """Show the letter's event as it is, once the log of acts says who wanted to see it and why."""
    reason = visit.field("reason").strip()
    if len(reason) < SHORTEST_REASON:
        visit.console.measures.acted(UNMASK, "refused")
        return await _letter(kind, visit, lacks_reason=True)
    return await _letter(kind, visit, reason=reason)


async def _letter(kind: Kind, visit: Visit, *, reason: str = "", lacks_reason: bool = False) -> Response:
    settings, snapshot, owner = visit.console.settings, snapshot_of(visit), _known_owner(kind, visit)
    number = int(visit.path("letter"))
    ((letter, fate),) = await asked(settings, letters_by_number, settings, kind.topic(owner), [number])
    publisher = owner_of(snapshot, letter) or (owner if kind is QUARANTINE else "")
    whole = sees_whole(visit, publisher)
    may_unmask = whole and visit.may(Right.UNMASK, acting.agency_of(owner))
    release = None if whole else release_of(snapshot, letter.agreement)
    if reason and not may_unmask:
        visit.console.measures.acted(UNMASK, "refused")
        return _denied(visit)
    clear = bool(reason)
    viewer = EventViewer(settings, snapshot)
    agency = acting.agency_of(owner)
    if clear:
        look = partial(viewer, letter.event, clear=True)
        actor, target = actor_of(visit, Right.UNMASK), acting.target_of([letter])
        event = await done(acting.unmasked, settings, look, actor, target, agency=agency, reason=reason)
        visit.console.measures.acted(UNMASK, "done")
    else:
        event = await asked(settings, viewer, letter.event, release=release)
    return visit.render(
        "letter.html",
        kind=kind,
        owner=owner,
        letter=letter,
        conditions=conditions_of(snapshot, letter.agreement),
        fate=fate,
        event=event,
        data=None if event is None else json.dumps(event["data"], indent=2, ensure_ascii=False),
        raw=_raw(letter) if clear and event is None else None,
        clear=clear,
        whole=whole,
        reason=reason,
        may_unmask=may_unmask,
        lacks_reason=lacks_reason,
        shortest=SHORTEST_REASON,
        may_redrive=visit.may(Right.REDRIVE, agency),
        may_discard=visit.may(Right.DISCARD, agency),
        status=400 if lacks_reason else 200,
    )


def _raw(letter: Letter) -> dict[str, Any]:
    """The record of an event that cannot be read, as text."""
    value = letter.event.value or b""
    return {
        "headers": [(name, one.decode(errors="backslashreplace")) for name, one in letter.event.headers],
        "value": value[:MOST_RAW].decode(errors="backslashreplace"),
        "bytes": len(value),
    }


def _denied(visit: Visit) -> Response:
    title, text = visit.texts("letters.unmask_denied"), visit.texts("letters.unmask_denied_text")
    return error_page(visit.console, visit.request, 403, title, text, visit.session)


def _pages(kind: Kind, parameter: str, agency: Callable[[Request], str | None]) -> tuple[Page, ...]:
    one = f"{kind.base}/{{{parameter}}}"
    letter = one + "/{letter:int}"
    return (
        Page(kind.base, kind.right, partial(_owners, kind), agency=of_all),
        Page(one, kind.right, partial(_list, kind), agency=agency),
        Page(one, kind.right, partial(_list, kind), "POST", agency),
        Page(f"{one}/progress", kind.right, partial(_progress, kind), agency=agency),
        Page(f"{one}/redrive", Right.REDRIVE, partial(_redrive, kind), "POST", agency),
        Page(f"{one}/discard", Right.DISCARD, partial(_discard, kind), "POST", agency),
        Page(letter, kind.right, partial(_one, kind), agency=agency),
        Page(f"{letter}/unmask", Right.UNMASK, partial(_unmask, kind), "POST", agency),
    )


PAGES: Final = (*_pages(DEAD, "system", of_system), *_pages(QUARANTINE, "agency", of_agency))
