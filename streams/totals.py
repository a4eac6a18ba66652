"""The books in numbers: a line for each event type and each agreement, as every front shows them. Pure."""

import dataclasses

from streams.books import Books


@dataclasses.dataclass(frozen=True, slots=True)
class EventTypeTotals:
    """What became of the events of one event type: published = routed + duplicate + quarantined + in flight."""

    event_type: str  # its topic, where no catalogue names it
    published: int
    routed: int
    duplicate: int
    quarantined: int
    in_flight: int


@dataclasses.dataclass(frozen=True, slots=True)
class AgreementTotals:
    """What became of them for one agreement: routed = delivered + filtered + dead + waiting + not in force."""

    agreement: str
    event_type: str
    routed: int
    delivered: int
    filtered: int
    dead: int
    waiting: int
    not_in_force: int
    replayed: int  # on top


def of_event_types(books: Books) -> list[EventTypeTotals]:
    """A line for each input topic."""
    return [
        EventTypeTotals(
            account.event_type or topic,
            account.events.found,
            account.outcomes["routed"],
            account.outcomes["duplicate"],
            account.outcomes["quarantined"],
            account.in_flight,
        )
        for topic, account in sorted(books.event_types.items())
    ]


def of_agreements(books: Books) -> list[AgreementTotals]:
    """A line for each agreement."""
    return [
        AgreementTotals(
            name,
            account.event_type,
            account.routed,
            delivered=account.outcomes["delivered"],
            filtered=account.outcomes["filtered"],
            dead=account.outcomes["dead"],
            waiting=account.outcomes["waiting"],
            not_in_force=account.not_in_force,
            replayed=account.replayed["delivered"],
        )
        for name, account in sorted(books.agreements.items())
    ]
