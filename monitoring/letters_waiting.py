"""How many letters lie in each topic of dead letters and quarantine about which nobody has decided yet."""

from collections.abc import Mapping

from lintas import names
from lintas.settings import Settings
from schemas.cluster import Cluster, Partition
from schemas.topic_reader import messages_from
from streams.redrive_log import Redrives

PREFIXES = (names.DEAD, names.QUARANTINE)


class LettersWaiting:
    """Reads each letter once, for its place alone: the offsets of markers are none, and only reading tells."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        """Nothing is read yet."""
        self._settings, self._cluster = settings, cluster
        self._positions: dict[Partition, int] = {}
        self._open: dict[str, set[int]] = {}

    def count(self, ends: Mapping[Partition, int], redrives: Redrives) -> dict[str, int]:
        """The letters that wait, by topic.

        Args:
            ends: of the topics of letters; no transaction is open before.
            redrives: what has been decided about letters.

        Raises:
            BusUnavailable: Kafka does not answer.
        """
        self._open = {topic: self._open.get(topic, set()) for topic, _ in ends}
        for place, end in ends.items():
            if self._positions.get(place, 0) > end:  # the topic was made anew
                self._positions[place] = 0
                self._open[place[0]].clear()
        unread = {place: self._positions.get(place, 0) for place in ends}
        new = {place: start for place, start in unread.items() if start < ends[place]}
        for message in messages_from(self._settings, names.ADMIN, new, {place: ends[place] for place in new}):
            topic, offset = message.topic(), message.offset()
            assert topic is not None and offset is not None, "a record has a place"  # noqa: PT018  one thing
            self._open[topic].add(offset)
            self._positions[topic, message.partition() or 0] = offset + 1
        self._positions.update(ends)
        self._forget(redrives)
        return {topic: len(letters) for topic, letters in self._open.items()}

    def _forget(self, redrives: Redrives) -> None:
        """Leave out letters about which something was decided, and those that retention has deleted."""
        some = [(topic, 0) for topic, letters in self._open.items() if letters]
        for (topic, _), first in self._cluster.beginnings(some).items():
            self._open[topic] = {
                letter for letter in self._open[topic] if letter >= first and redrives.fate(topic, letter) is None
            }
