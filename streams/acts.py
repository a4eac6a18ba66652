"""Acts of people, recorded: nothing is done before the log on Kafka has it."""

import contextlib
import dataclasses
import logging
import uuid
from collections.abc import Iterator
from typing import Final

from lintas import names
from lintas.errors import BusUnavailable, LintasError
from lintas.settings import Settings
from schemas.topic_reader import numbered
from schemas.topic_writer import append
from streams.acts_log import DONE, FAILED, Act, Actor, Acts
from streams.status import now

log = logging.getLogger(__name__)

_INTERRUPTED: Final = "interrupted"


@dataclasses.dataclass(slots=True)
class Under:
    """An act that is under way; whoever does it says what came of it."""

    act: Act
    detail: str = ""


@contextlib.contextmanager
def recorded(
    settings: Settings, actor: Actor, act: str, target: str, *, agency: str = "", reason: str = ""
) -> Iterator[Under]:
    """What is done in this context is recorded: begun before it, ended after it.

    Killed in between, it is seen as unfinished. The act itself does not fail because its end cannot be recorded.

    Args:
        settings: of the bus.
        actor: who does it.
        act: one of ``acts_log.ACTS``.
        target: what it is done to, by name; no value of an event.
        agency: whose things those are; empty if they are the whole bus's.
        reason: why, in the person's words.

    Raises:
        BusUnavailable: it cannot be recorded; nothing was done.
    """
    under = Under(Act(uuid.uuid4().hex, now(), actor, act, target, agency, reason))
    append(settings, names.ACTS, under.act.begun())
    outcome, failure = FAILED, _INTERRUPTED
    try:
        yield under
        outcome = DONE
    except LintasError as error:
        failure = type(error).__name__
        raise
    except Exception as error:
        failure = f"{type(error).__name__}: see the log"
        raise
    finally:
        detail = under.detail if outcome == DONE else failure
        ended = dataclasses.replace(under.act, outcome=outcome, detail=detail, ended=now())
        try:
            append(settings, names.ACTS, ended.ending())
        except BusUnavailable:
            log.critical("the end of act %s (%s, %s) could not be recorded", ended.id, act, outcome)


def acts_of(settings: Settings) -> Acts:
    """Every act.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    acts = Acts()
    for number, key, value in numbered(settings, names.ADMIN, names.ACTS):
        acts.add(number, key, value)
    return acts
