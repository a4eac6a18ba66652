"""A processor's endpoints say whether it lives, waits or works."""

import asyncio
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from prometheus_client import CollectorRegistry

from monitoring.endpoints import serve
from monitoring.processor_health import ProcessorWatch

SILENT_SECONDS = 3.0  # a busy machine answers a request in less


@pytest.fixture
def watch() -> ProcessorWatch:
    return ProcessorWatch("counting", SILENT_SECONDS)


@pytest.fixture
def ask(watch: ProcessorWatch) -> Callable[[str], tuple[int, str]]:
    port = serve("counting", CollectorRegistry(), watch.health, ("127.0.0.1", 0))

    def answer(path: str) -> tuple[int, str]:
        found = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
        return found.status_code, found.text.strip()

    return answer


Ask = Callable[[str], tuple[int, str]]


def test_one_that_waits_lives_and_is_not_ready_and_says_what_for(watch: ProcessorWatch, ask: Ask) -> None:
    assert ask("/ready") == ask("/startup") == (503, "it is starting")
    watch.waits("no catalogue in force names it")
    assert ask("/live") == (200, "ok")
    assert ask("/ready") == ask("/startup") == (503, "no catalogue in force names it")


def test_one_that_has_worked_and_waits_again_has_started_and_is_not_ready(watch: ProcessorWatch, ask: Ask) -> None:
    watch.works()
    assert ask("/live") == ask("/ready") == ask("/startup") == (200, "ok")
    watch.waits("it has not been given its inbox yet")
    assert ask("/ready") == (503, "it has not been given its inbox yet")
    assert ask("/startup") == (200, "ok")


def test_a_loop_that_is_stuck_is_not_live_while_it_is_and_the_endpoints_still_answer(
    watch: ProcessorWatch, ask: Ask
) -> None:
    seen, stuck = threading.Event(), list[tuple[int, str]]()

    def look() -> None:
        deadline = time.monotonic() + 10 * SILENT_SECONDS
        while (found := ask("/live"))[0] == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        stuck.append(found)
        seen.set()

    async def loop() -> None:
        watch.works()
        assert await asyncio.to_thread(ask, "/live") == (200, "ok")
        looking = asyncio.create_task(asyncio.to_thread(look))
        await asyncio.sleep(0)
        seen.wait(20 * SILENT_SECONDS)  # the loop is stuck until somebody has noticed
        watch.works()
        assert await asyncio.to_thread(ask, "/live") == (200, "ok")
        await looking

    asyncio.run(loop())
    ((status, reason),) = stuck
    assert status == 503
    assert reason.startswith("the loop of counting has not come round for ")
