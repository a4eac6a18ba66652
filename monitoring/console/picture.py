"""The flow between agencies as a picture: providers on the left, consumers on the right, bands between them. Pure."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

MOST_NODES: Final = 14  # on each side; the others are one
WIDTH: Final = 1000
LABEL: Final = 215  # room for the names on each side
NODE: Final = 9
GAP: Final = 9
LEAST: Final = 15  # height of a node: its name is written beside it
THIN: Final = 0.75  # an agreement without an event in the window
MOST_BAND: Final = 34
OTHERS: Final = ""  # the name of all others together


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """An agency at one side."""

    name: str
    events: int
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        """Where its name stands."""
        return self.y + self.height / 2


@dataclasses.dataclass(frozen=True, slots=True)
class Band:
    """What flows from one agency to another."""

    provider: str
    consumer: str
    events: int
    path: str
    width: float


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """All of it, in a box of WIDTH by height."""

    height: float
    providers: tuple[Node, ...]
    consumers: tuple[Node, ...]
    bands: tuple[Band, ...]
    width: int = WIDTH


def flows_between(pairs: Iterable[tuple[str, str, int]]) -> Mapping[tuple[str, str], int]:
    """Events by provider and consumer agency, of ``pairs`` for single agreements."""
    found: Counter[tuple[str, str]] = Counter()
    for provider, consumer, events in pairs:
        found[provider, consumer] += events  # also 0: there is an agreement
    return found


def picture(flows: Mapping[tuple[str, str], int]) -> Picture:
    """Draw it."""
    left = _chosen(flows, 0)
    right = _chosen(flows, 1)
    merged: Counter[tuple[str, str]] = Counter()
    for (provider, consumer), events in flows.items():
        merged[provider if provider in left else OTHERS, consumer if consumer in right else OTHERS] += events
    scale = MOST_BAND / max((1, *merged.values()))
    widths = {pair: max(THIN, events * scale) for pair, events in merged.items()}
    providers = _nodes(merged, widths, 0, LABEL)
    consumers = _nodes(merged, widths, 1, WIDTH - LABEL - NODE)
    height = max([node.y + node.height for node in (*providers.values(), *consumers.values())], default=0) + 2
    return Picture(
        round(height, 1),
        tuple(providers.values()),
        tuple(consumers.values()),
        tuple(_bands(merged, widths, providers, consumers)),
    )


def _chosen(flows: Mapping[tuple[str, str], int], side: int) -> set[str]:
    """The agencies of a side that are drawn: those with most events, then with most agreements."""
    events: Counter[str] = Counter()
    partners: Counter[str] = Counter()
    for pair, number in flows.items():
        events[pair[side]] += number
        partners[pair[side]] += 1
    order = sorted(events, key=lambda name: (-events[name], -partners[name], name))
    return set(order if len(order) <= MOST_NODES else order[: MOST_NODES - 1])


def _nodes(
    flows: Mapping[tuple[str, str], int], widths: Mapping[tuple[str, str], float], side: int, x: float
) -> dict[str, Node]:
    events: Counter[str] = Counter()
    heights: defaultdict[str, float] = defaultdict(float)
    for pair, number in flows.items():
        events[pair[side]] += number
        heights[pair[side]] += widths[pair]
    found, y = {}, 2.0
    for name in sorted(events, key=lambda name: (name == OTHERS, -events[name], name)):
        height = max(float(LEAST), heights[name])
        found[name] = Node(name, events[name], x, round(y, 1), round(height, 1))
        y += height + GAP
    return found


def _bands(
    flows: Mapping[tuple[str, str], int],
    widths: Mapping[tuple[str, str], float],
    providers: Mapping[str, Node],
    consumers: Mapping[str, Node],
) -> Iterable[Band]:
    starts = {name: node.middle - _total(widths, 0, name) / 2 for name, node in providers.items()}
    ends = {name: node.middle - _total(widths, 1, name) / 2 for name, node in consumers.items()}
    order = sorted(flows, key=lambda pair: (providers[pair[0]].y, consumers[pair[1]].y))
    lefts: dict[tuple[str, str], float] = {}
    for pair in order:
        lefts[pair] = starts[pair[0]] + widths[pair] / 2
        starts[pair[0]] += widths[pair]
    middle = WIDTH / 2
    for pair in sorted(flows, key=lambda pair: (consumers[pair[1]].y, providers[pair[0]].y)):
        right = ends[pair[1]] + widths[pair] / 2
        ends[pair[1]] += widths[pair]
        x1, x2 = LABEL + NODE, WIDTH - LABEL - NODE
        path = f"M{x1} {lefts[pair]:.1f}C{middle:.0f} {lefts[pair]:.1f} {middle:.0f} {right:.1f} {x2} {right:.1f}"
        yield Band(*pair, flows[pair], path, round(widths[pair], 2))


def _total(widths: Mapping[tuple[str, str], float], side: int, name: str) -> float:
    return sum(width for pair, width in widths.items() if pair[side] == name)
