"""Processes that are measured: what they have used, whether they live, and their certain end."""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from bench.contender import Failed
from lintas.local import logs

STOP_SECONDS = 20.0


@contextlib.contextmanager
def ended(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """End processes however the block is left: asked first, then killed."""
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu_seconds(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """User and system time of whole processes so far, all threads."""
    return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in processes)


def resident_bytes(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Memory that processes hold."""
    return sum(psutil.Process(process.pid).memory_info().rss for process in processes)


def check_alive(processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Stop where a process has ended.

    Raises:
        Failed: with the end of its log.
    """
    for process in processes:
        if (code := process.poll()) is not None:
            raise Failed(f"it ended with exit code {code}:\n{logs.tail(log)}")
