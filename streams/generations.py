"""From one generation of lanes to the next: fence every lane of the old one, then open the new one.

Whoever finds a generation that is planned and not open may do this, any number of times and at the same time as others:
fencing a lane that is fenced changes nothing, and a second opening is ignored.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.errors import KafkaError

from lintas import names
from lintas.credentials import aiokafka_options
from lintas.errors import BusUnavailable
from lintas.settings import Settings
from schemas.lane_plans import LanePlan, LanePlans
from schemas.topic_writer import append
from streams.producer import OnceProducer

log = logging.getLogger(__name__)

AT_ONCE: Final = 16  # ids initialised at the same time
ATTEMPTS: Final = 5
RETRY_SECONDS: Final = 1.0


async def finish(settings: Settings, plans: LanePlans, principal: str = names.ADMIN) -> None:
    """Open the newest generation if it is not open; its lanes may run from then on.

    Raises:
        BusUnavailable: Kafka does not answer. Finishing again is harmless.
    """
    plan = plans.unfinished
    if plan is None:
        return
    replaced = plans.before(plan)
    if replaced is not None:
        await fence(settings, replaced, principal)
    await asyncio.to_thread(append, settings, names.LANES_PLANS, plan.opening(), principal=principal)
    log.info("lanes: generation %d with %d lanes is open", plan.generation, plan.lanes)


async def fence(settings: Settings, plan: LanePlan, principal: str = names.ADMIN) -> None:
    """Initialise the id of every lane of a generation that has been replaced.

    When this returns, no transaction of theirs is open, every position that they committed is there to be read, and
    whatever of theirs is still on its way is refused. A lane of theirs that initialises its id later than this finds,
    before it reads a position, that it is replaced.

    Raises:
        BusUnavailable: Kafka does not answer.
    """
    options = aiokafka_options(settings, principal)
    slots = asyncio.Semaphore(AT_ONCE)

    async def fence_one(transactional_id: str) -> None:
        async with slots:
            await _initialise(settings, options, transactional_id)

    results = await asyncio.gather(*map(fence_one, plan.transactional_ids), return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


async def _initialise(settings: Settings, options: Mapping[str, Any], transactional_id: str) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        producer = OnceProducer(
            options,
            transactional_id=transactional_id,
            client_id=f"{transactional_id}-fence",
            transaction_timeout_seconds=settings.transaction_timeout_seconds,
        )
        try:
            await producer.start()
        except (KafkaError, TimeoutError) as error:
            if attempt == ATTEMPTS:
                raise BusUnavailable(
                    part="Kafka", address=settings.brokers, reason=f"{transactional_id}: {type(error).__name__}"
                ) from error
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
        finally:
            await producer.discard()
