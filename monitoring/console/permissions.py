"""Who may see and do what at the console: one table, and what is not in it is denied."""

import enum
from collections.abc import Mapping
from typing import Final

from monitoring.console.identity import Person, Role


class Right(enum.StrEnum):
    """One thing that a page shows or does."""

    SIGNED_IN = "signed_in"  # what everybody with a session may: sign out, choose a language
    SEE_BUS = "see_bus"  # overview, event types (samples masked), agreements, catalogue history, workers
    TEST_AGREEMENT = "test_agreement"  # decide a payload that one types oneself; nothing is published
    SEE_INBOX = "see_inbox"  # headers, and values masked
    SEE_DEAD_LETTERS = "see_dead_letters"  # causes, and values masked
    SEE_QUARANTINE = "see_quarantine"  # as above
    SEE_REPLAYS = "see_replays"
    SEE_ACTS = "see_acts"
    SEE_CONNECTORS = "see_connectors"  # state, settings, progress; no payload
    UNMASK = "unmask"  # see personal values, for a reason that is recorded first
    REDRIVE = "redrive"
    DISCARD = "discard"
    REPLAY = "replay"  # ask for one, and cancel it
    CONTROL_CONNECTORS = "control_connectors"  # pause, resume, restart, stop


class Scope(enum.IntEnum):
    """How far a right reaches."""

    OWN = 1  # the agency that the person is steward of
    ALL = 2


EVERYBODY: Final[Mapping[Role, Scope]] = dict.fromkeys(Role, Scope.ALL)
_KEEPERS: Final[Mapping[Role, Scope]] = {Role.OPERATOR: Scope.ALL, Role.STEWARD: Scope.OWN}

# Stewards: of inboxes and dead letters those of their own systems, of quarantine what their own systems published.
# Auditors see who did what, and never payloads.
TABLE: Final[Mapping[Right, Mapping[Role, Scope]]] = {
    Right.SIGNED_IN: EVERYBODY,
    Right.SEE_BUS: EVERYBODY,
    Right.TEST_AGREEMENT: {Role.STEWARD: Scope.ALL, Role.OPERATOR: Scope.ALL, Role.AUDITOR: Scope.ALL},
    Right.SEE_INBOX: _KEEPERS,
    Right.SEE_DEAD_LETTERS: _KEEPERS,
    Right.SEE_QUARANTINE: _KEEPERS,
    Right.SEE_REPLAYS: {**_KEEPERS, Role.AUDITOR: Scope.ALL},
    Right.SEE_ACTS: {**_KEEPERS, Role.AUDITOR: Scope.ALL},
    Right.SEE_CONNECTORS: {**_KEEPERS, Role.AUDITOR: Scope.ALL},
    Right.CONTROL_CONNECTORS: _KEEPERS,
    Right.UNMASK: _KEEPERS,
    Right.REDRIVE: _KEEPERS,
    Right.DISCARD: _KEEPERS,
    Right.REPLAY: _KEEPERS,
}


def scope(person: Person, right: Right) -> Scope | None:
    """How far the person's right reaches, by whichever role gives most; None: denied."""
    given = TABLE.get(right, {})
    scopes = [given[role] for role in person.roles if role in given]
    return max(scopes, default=None)


def allowed(person: Person, right: Right, agency: str | None = None) -> bool:
    """Whether the person may.

    Args:
        person: who.
        right: what.
        agency: whose things it is about; None for a page of all agencies, which shows a steward the own ones only.
    """
    reach = scope(person, right)
    if reach is None:
        return False
    return reach is Scope.ALL or agency is None or (agency == person.agency and agency != "")


def only_agency(person: Person, right: Right) -> str | None:
    """The agency that lists must be narrowed to; None: all of them.

    Raises:
        PermissionError: the person has not the right at all.
    """
    reach = scope(person, right)
    if reach is None:
        raise PermissionError(right.value)
    return None if reach is Scope.ALL else person.agency
