"""What a connector's journal says when it can write no more."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from lintas_client import Connection

from connectors.runtime.journal import Journal
from lintas.errors import ConnectorFailed

CONNECTION = Connection(
    bootstrap_servers="127.0.0.1:1", registry_url="http://127.0.0.1:1", system="office.desk", password="none"
)


class Producer:
    """Fails as it was told to."""

    def __init__(self, error: Exception, died_of: Exception | None = None) -> None:
        self._error, self.died_of = error, died_of

    async def transact(self, *_: object) -> None:
        raise self._error


async def written_with(producer: Any) -> None:
    journal = Journal.__new__(Journal)
    journal._connector, journal._plugin, journal._noted = "births", "counting", None
    journal._topic, journal._group, journal._producer = "connectors.office.desk", "office.desk.births", producer
    await journal.write((), {"next": 5}, {TopicPartition("inbox.office.desk", 0): 7})


@pytest.mark.parametrize(
    "producer", [Producer(ProducerFenced()), Producer(KafkaError("the sender has died"), ProducerFenced())]
)
async def test_who_was_fenced_is_told_that_another_goes_on_and_nothing_need_be_done(producer: Any) -> None:
    with pytest.raises(ConnectorFailed, match=r"another runtime has taken it over[^$]*none is needed"):
        await written_with(producer)


async def test_what_else_goes_wrong_is_told_as_it_is() -> None:
    with pytest.raises(KafkaError, match="away"):
        await written_with(Producer(KafkaError("away")))
