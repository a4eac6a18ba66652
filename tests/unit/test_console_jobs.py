"""What takes longer than a page may."""

import datetime as dt
import threading

import pytest

from lintas.errors import NoLanes
from monitoring.console.jobs import Job, Jobs, Progress, TooMany


def test_a_job_is_seen_by_whoever_asked_for_it_alone() -> None:
    jobs = Jobs()
    done = threading.Event()

    def work(progress: Progress) -> bool:
        progress(1, 2)
        return done.wait(10)

    job = jobs.start("rina", {"a": "1"}, work)
    assert jobs.get(job.id, "rina") is job
    assert jobs.get(job.id, "budi") is None
    assert jobs.get("other", "rina") is None
    done.set()
    ended(job)
    assert (job.result, job.done, job.total) == (True, 1, 2)


def ended(job: Job) -> None:
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20)
    while not job.ended and dt.datetime.now(dt.UTC) < deadline:
        threading.Event().wait(0.01)
    assert job.ended


def test_a_job_that_fails_or_takes_too_long_says_so() -> None:
    def fail(_: Progress) -> None:
        raise NoLanes

    def go_on(progress: Progress) -> None:
        progress(1, 2)

    failed = Jobs().start("rina", {}, fail)
    too_long = Jobs(most_seconds=-1).start("rina", {}, go_on)
    ended(failed)
    ended(too_long)
    assert "no lanes yet" in failed.failed
    assert too_long.too_long


def test_so_many_jobs_at_once_and_no_more() -> None:
    jobs, done = Jobs(), threading.Event()
    running = [jobs.start("rina", {}, lambda _: done.wait(10)) for _ in range(3)]
    with pytest.raises(TooMany):
        jobs.start("budi", {}, lambda _: None)
    done.set()
    for job in running:
        ended(job)
    assert jobs.start("budi", {}, lambda _: None)
