"""One batch of a lane, decided: outputs, audit entries and new positions, without any I/O.

Each input partition's events are decided by a ``Carrier``.
"""

import datetime as dt
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence

from streams import audit, evidence
from streams.carrier import Carrier
from streams.decide import Plans
from streams.decisions import BACKFILLED, READMITTED, REDRIVEN, REPLAYED, RESUMED
from streams.letters import Letter
from streams.record_format import RawBatch
from streams.records import InputRecord
from streams.slots import Partition, SetAside, Slot
from streams.tally import Tally
from streams.window import DuplicateWindow


class Batch:
    """Events added as they come; what is to be written once all are in.

    Attributes:
        outputs: the contents of the records to write, by output partition, in order.
        decided: what was decided, by input partition.
        next_offsets: the position after the last event, by input partition.
        first_offsets: from where on an agreement would have to be given again, by input partition; only of events
            that come for the first time, or had waited.
        events: how many were added.
        asked: what they were decided for, if they are not live (``decisions``: RESUMED ...).
    """

    def __init__(
        self,
        plans: Plans,
        windows: Mapping[Partition, DuplicateWindow],
        aside: Mapping[Slot, SetAside],
        *,
        at: dt.datetime,
    ) -> None:
        """``windows`` are added to as events come; ``at`` is the moment at which agreements are judged."""
        self.id = secrets.token_hex(16)
        self.seed = evidence.new_seed()
        self.at = at
        self.outputs: MutableMapping[Partition, list[bytes]] = defaultdict(list)
        self.decided: dict[Partition, audit.PartitionDecisions] = {}
        self.next_offsets: dict[Partition, int] = {}
        self.first_offsets: dict[Partition, int] = {}
        self.events = 0
        self.asked: str | None = None
        self._plans = plans
        self._aside = aside
        self._windows = windows
        self._carriers: dict[Partition, Carrier] = {}

    def add(self, topic: str, partition: int, raw: RawBatch, most: int) -> None:
        """Decide up to ``most`` records of a record batch; those of a partition come in order.

        Raises:
            CorruptRecordException: a record goes on beyond the batch.
        """
        place = (topic, partition)
        carrier = self._carrier(place)
        offsets = carrier.decided.offsets
        before, begun = len(offsets), raw.at
        carrier.take(raw, most)
        carrier.tally.size += raw.at - begun
        if len(offsets) > before:
            self.first_offsets.setdefault(place, offsets[0])
            self.next_offsets[place] = offsets[-1] + 1
            self.events += len(offsets) - before

    def catch_up(self, slot: Slot, events: Iterable[tuple[int, InputRecord | None]]) -> None:
        """Decide events that wait for an agreement, in their order; None: the event is deleted. No others may come."""
        self.asked = RESUMED
        carrier, index = self._of(slot)
        for offset, record in events:
            carrier.catch_up(offset, record, index, RESUMED)
            self.first_offsets.setdefault(slot[1:], offset)
            self.events += 1

    def redrive(self, slot: Slot, letters: Iterable[Letter], number: int) -> None:
        """Decide the events of dead letters again, at the word of request ``number``. No others may come."""
        self.asked = REDRIVEN
        carrier, index = self._of(slot)
        for letter in letters:
            carrier.catch_up(letter.event.offset, letter.event, index, f"{REDRIVEN} {number}", letter.attempt + 1)
            self.events += 1

    def give_past(self, slot: Slot, records: Iterable[InputRecord], replay: int | None) -> None:
        """Decide events of the past for one agreement: for a replay, or since it is new. No others may come."""
        self.asked = BACKFILLED if replay is None else REPLAYED
        carrier, index = self._of(slot)
        asked = self.asked if replay is None else f"{REPLAYED} {replay}"
        for record in records:
            carrier.give_past(record, index, asked, replay)
            self.events += 1

    def tallies(self) -> Mapping[Partition, Tally]:
        """Counts of what was decided, by input partition."""
        return {place: carrier.tally for place, carrier in self._carriers.items()}

    def readmit(self, place: Partition, letters: Iterable[Letter], number: int) -> None:
        """Decide events of quarantine for everybody, at the word of request ``number``. No others may come."""
        self.asked = READMITTED
        carrier = self._carrier(place)
        for letter in letters:
            carrier.readmit(letter.event, f"{READMITTED} {number}", letter.attempt + 1)
            self.events += 1

    def floods(self) -> Mapping[Slot, Sequence[str]]:
        """Why events could not be given, one reason for each, where those were most of an input partition's."""
        return {
            (agreement, *place): reasons
            for place, carrier in self._carriers.items()
            for agreement, reasons in carrier.dead.items()
            if 2 * len(reasons) >= len(carrier.decided.offsets)
        }

    def _of(self, slot: Slot) -> tuple[Carrier, int]:
        agreements = [plan.agreement.agreement for plan in self._plans.by_topic[slot[1]].agreements]
        return self._carrier(slot[1:]), agreements.index(slot[0])

    def waiting(self) -> Mapping[Slot, Sequence[int]]:
        """The offsets of events that were found to wait for an agreement."""
        return {
            (agreement, *place): offsets
            for place, carrier in self._carriers.items()
            for agreement, offsets in carrier.waiting.items()
            if offsets
        }

    def _carrier(self, place: Partition) -> Carrier:
        carrier = self._carriers.get(place)
        if carrier is None:
            carrier = self._carriers[place] = Carrier(
                self._plans.by_topic[place[0]],
                place[1],
                self._windows[place],
                {slot[0]: why.reason for slot, why in self._aside.items() if slot[1:] == place},
                self.outputs,
                seed=self.seed,
                at=self.at,
                catalogue=self._plans.digest,
            )
            self.decided[place] = carrier.decided
        return carrier

    def sources(self) -> Mapping[Partition, set[Slot]]:
        """Which agreement of which input partition wrote to an output partition: whom a refusal concerns."""
        found: dict[Partition, set[Slot]] = defaultdict(set)
        plans = {plan.agreement.agreement: plan for one in self._plans.by_topic.values() for plan in one.agreements}
        decided = audit.Decided(self.id, 0, 0, "", self._plans.digest, self.at)
        for record in audit.read_records(audit.AuditWriter(0).records(decided, list(self.decided.values()))):
            for part in record["partitions"]:
                for event in part["events"]:
                    for decision in event["decisions"]:
                        name = part["agreements"][decision["agreement"]]["agreement"]
                        slot = (name, part["topic"], part["partition"])
                        if decision["outcome"] == "delivered":
                            found[plans[name].inbox, decision["partition"]].add(slot)
                        elif decision["outcome"] == "dead":
                            found[plans[name].dead, 0].add(slot)
        return found
