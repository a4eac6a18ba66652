"""A message that came from outside: read into events, or refused with every reason."""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from lintas_client import MalformedEvent, Problem

from connectors.runtime.context import Context
from connectors.runtime.contract import Outgoing
from connectors.runtime.making import made


class MalformedMessage(ValueError):
    """The message cannot be read: {report}."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The message cannot be read: {'; '.join(map(str, self.problems))}.")


Read = Callable[[bytes, str], Awaitable[Sequence[Outgoing]]]
"""Makes the events of one message; the text is its origin. Raises MalformedMessage with every problem."""


async def _nothing() -> None:
    """Nothing is needed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Intake:
    """What a source of messages needs to know of a kind of message.

    Attributes:
        read: makes the events.
        context: of the connector.
        media_types: what HTTP may announce it as, the first is the proper one.
        suffixes: of its files.
        largest_bytes: what ``read`` refuses anyway, so that nobody need hold it in memory.
        ready: called before the first message; raises ConnectorFailed if messages cannot be read at all.
    """

    read: Read
    context: Context
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    largest_bytes: int
    ready: Callable[[], Awaitable[None]] = _nothing

    async def events(self, message: bytes, origin: str) -> Sequence[Outgoing]:
        """The events of a message, ready to be sent: all of them, or none.

        Raises:
            MalformedMessage: with every problem of the message, or of its events.
            UnknownEventType, BusUnreachable: the registry does not know what it should become, or does not answer.
        """
        events = await self.read(message, origin)
        ready: list[Outgoing] = []
        problems: list[Problem] = []
        for at, event in enumerate(events):
            try:
                ready.append(dataclasses.replace(event, ready=await made(self.context, event)))
            except MalformedEvent as error:
                path = f"event[{at}]" if len(events) > 1 else "event"
                problems += [Problem(f"{path}.{one.path}".rstrip("."), one.rule, one.message) for one in error.problems]
        if problems:
            raise MalformedMessage(problems)
        return ready


def as_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as programs read them."""
    return [dataclasses.asdict(problem) for problem in problems]
