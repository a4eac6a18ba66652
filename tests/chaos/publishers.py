"""A publisher of numbered events, as a process of its own: every event until it is acknowledged, in order per key.

python tests/chaos/publishers.py --home DIR --index 0 --events 1000 --rate 500 --report FILE
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from numbered import PUBLISHERS, REPEATED, Maker, event_type_of, kind_of, publisher_of

from lintas.credentials import confluent_options
from lintas.settings import Settings
from schemas.publication import read_current

STEP_SECONDS = 0.02
FLUSH_SECONDS = 300.0


class Publisher:
    """Publishes and remembers what was not acknowledged."""

    def __init__(self, settings: Settings, index: int) -> None:
        current = read_current(settings)
        assert current is not None, "a catalogue is in force"
        self._maker = Maker({name: one.current.id for name, one in current[1].event_types.items()})
        self._producer = Producer(
            {
                **confluent_options(settings, publisher_of(index)),
                "enable.idempotence": True,  # and so acks=all, repeated until acknowledged
                "message.timeout.ms": 0,
                "linger.ms": 100,  # three brokers and all else share two processors
                "compression.type": "lz4",
                "log_level": 0,
            }
        )
        self.acknowledged = 0
        self.unacknowledged: set[int] = set()

    def publish(self, number: int, event_type: str) -> None:
        topic, key, value, headers = self._maker.record(number, event_type)

        def answered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.acknowledged += 1
            else:
                self.unacknowledged.add(number)

        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=answered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def poll(self) -> None:
        self._producer.poll(0)

    def finish(self) -> None:
        left = self._producer.flush(FLUSH_SECONDS)
        assert left == 0, f"{left} events were neither acknowledged nor refused"


def run(publisher: Publisher, index: int, events: int, rate: float) -> None:
    """Publish ``events`` numbers, those of publisher ``index``, at most ``rate`` a second."""
    begun, sent = time.monotonic(), 0
    while sent < events:
        due = min(events, int((time.monotonic() - begun) * rate) + 1)
        for one in range(sent, due):
            number = one * PUBLISHERS + index
            for _ in range(2 if kind_of(number) == REPEATED else 1):
                publisher.publish(number, event_type_of(number))
        sent = due
        publisher.poll()
        time.sleep(STEP_SECONDS)
    publisher.finish()


def _arguments() -> Any:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--report", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Publish and write down what became of it."""
    arguments = _arguments()
    publisher = Publisher(Settings(home=arguments.home), arguments.index)
    run(publisher, arguments.index, arguments.events, arguments.rate)
    report = {"acknowledged": publisher.acknowledged, "unacknowledged": sorted(publisher.unacknowledged)}
    arguments.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
