"""What people do about letters, replays and agreements, each act recorded: the command line and the console call these.

What they call does not record by itself; whoever acts without a person behind it (a test, a lane) calls that.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lintas import names
from lintas.settings import Settings
from streams import redrive as redriving
from streams import replay as replaying
from streams.acts import recorded
from streams.acts_log import CANCEL, DISCARD, REDRIVE, REPLAY, UNMASK, Actor
from streams.letters import Letter
from streams.replay import Asked
from streams.replay_log import Replay

T = TypeVar("T")
_NAMED: Final = 20  # letters named one by one in the log


def redrive(settings: Settings, attempts: Sequence[redriving.Attempt], actor: Actor, *, reason: str = "") -> int:
    """Ask the lanes to give letters of one topic again, but for those that would stay; how many.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    letters = [one.letter for one in attempts if not one.stays]
    if letters:
        with recorded(settings, actor, REDRIVE, target_of(letters), agency=_agency(letters), reason=reason) as under:
            redriving.redrive(settings, letters, author=actor.subject)
            under.detail = f"{len(letters)} letter(s)"
    return len(letters)


def discard(settings: Settings, letters: Sequence[Letter], actor: Actor, *, reason: str) -> int:
    """Note that letters of one topic are never to be given; how many.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    if letters:
        with recorded(settings, actor, DISCARD, target_of(letters), agency=_agency(letters), reason=reason) as under:
            redriving.discard(settings, letters, author=actor.subject, reason=reason)
            under.detail = f"{len(letters)} letter(s)"
    return len(letters)


def replay(settings: Settings, asked: Asked, actor: Actor, *, reason: str = "") -> Replay:
    """Ask the lanes for a replay; if just this was asked for and has not ended, it is that one.

    Raises:
        NoCatalogue, NothingToReplay: as ``streams.replay.request_for`` has them.
        BusUnavailable: Kafka or the registry does not answer. Asking again is harmless.
    """
    until = "now" if asked.until is None else asked.until.isoformat()
    what = "every type" if asked.event_type is None else asked.event_type
    target = f"{asked.system}: {what}, {asked.since.isoformat()} to {until}"
    with recorded(settings, actor, REPLAY, target, agency=agency_of(asked.system), reason=reason) as under:
        one = replaying.replay(settings, asked, author=actor.subject)
        under.detail = f"replay {one.number}"
    return one


def cancel(settings: Settings, system: str, actor: Actor, *, reason: str = "") -> list[Replay]:
    """End every replay of a consumer that goes on; which those are.

    Raises:
        BusUnavailable: Kafka does not answer. Asking again is harmless.
    """
    with recorded(settings, actor, CANCEL, system, agency=agency_of(system), reason=reason) as under:
        ended = replaying.cancel(settings, system, actor.subject)
        under.detail = ", ".join(f"replay {one.number}" for one in ended) or "none went on"
    return ended


def unmasked(
    settings: Settings,
    look: Callable[[], T],
    actor: Actor,
    target: str,
    *,
    agency: str,
    reason: str,
    told: Callable[[T], str] = lambda _: "shown",
) -> T:
    """What somebody looks at in clear, once it is recorded that they do.

    ``told`` says by name what that was.

    Raises:
        BusUnavailable: it cannot be recorded; nothing was looked at.
    """
    with recorded(settings, actor, UNMASK, target, agency=agency, reason=reason) as under:
        seen = look()
        under.detail = told(seen)
    return seen


def target_of(letters: Sequence[Letter]) -> str:
    """Letters of one topic by name, as the log has them."""
    numbers = sorted(letter.offset for letter in letters)
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more up to {numbers[-1]}" if len(numbers) > _NAMED else ""
    return f"{letters[0].topic}: {named}{more}"


def agency_of(system: str) -> str:
    """Whose a system is; of an agency, itself."""
    return system.partition(".")[0]


def _agency(letters: Sequence[Letter]) -> str:
    return agency_of(letters[0].topic.removeprefix(names.DEAD).removeprefix(names.QUARANTINE))
