"""Ways of measuring that several contestants share."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.tasks import HOLD

CALLERS = 16
"""How many threads W1c calls from."""

READY = "ready"


def one_by_one(call: Callable[[int], object], count: int) -> Mapping[str, float]:
    """Rate and latency of `count` calls from one caller."""
    latencies: list[float] = []
    begin = time.perf_counter()
    for number in range(count):
        called = time.perf_counter()
        call(number)
        latencies.append(time.perf_counter() - called)
    rate = count / (time.perf_counter() - begin)
    return {"per_s": rate, "p50_ms": statistics.median(latencies) * 1e3}


def from_threads(call: Callable[[int], object], count: int) -> Mapping[str, float]:
    """Rate of about `count` calls from `CALLERS` threads that begin together."""
    each = max(1, count // CALLERS)
    barrier = threading.Barrier(CALLERS + 1)

    def caller(first: int) -> None:
        barrier.wait()
        for number in range(first, first + each):
            call(number)

    threads = [threading.Thread(target=caller, args=(index * each,)) for index in range(CALLERS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    return {"per_s": each * CALLERS / (time.perf_counter() - begin)}


def in_chunks(call: Callable[[Sequence[int]], object], count: int, size: int = 1_000) -> Mapping[str, float]:
    """Rate of `count` items handed over `size` at a time."""
    begin = time.perf_counter()
    for first in range(0, count, size):
        call(range(first, min(first + size, count)))
    return {"per_s": count / (time.perf_counter() - begin)}


def rate(count: int, work: Callable[[], object]) -> float:
    """Items per second of work that does `count` of them."""
    begin = time.perf_counter()
    work()
    return count / (time.perf_counter() - begin)


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median latency of work in milliseconds."""
    latencies: list[float] = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        latencies.append(time.perf_counter() - begin)
    return statistics.median(latencies) * 1e3


def wait_until(condition: Callable[[], bool], limit_s: float = 300.0) -> None:
    """Look every two milliseconds whether a condition has come true."""
    deadline = time.monotonic() + limit_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done after {limit_s:.0f} s")
        pause.wait(0.002)


def killed_after(module: str, *arguments: str) -> None:
    """Run a module until it says that it is ready, holding what can be held, and kill it with SIGKILL."""
    writer = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {HOLD: "1"},
    )
    with writer:
        assert writer.stdout is not None
        is_ready = any(line.strip() == READY for line in writer.stdout)
        writer.kill()
    if not is_ready:
        raise RuntimeError(f"{module} ended before it was ready")


def say_ready_and_wait() -> None:
    """The other side of `killed_after`: it never returns."""
    print(READY, flush=True)
    sys.stdin.read()


def report_of(module: str, *arguments: str) -> float:
    """Run a module in a process of its own and read the one number that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def anonymous_memory() -> int:
    """Bytes of this process' own memory; pages of a mapped store are the system's and do not count.

    Nor does what glibc keeps for itself of what was freed: up to 64 MiB, however many there are of what is measured.
    """
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon: memory is measured on Linux only")
