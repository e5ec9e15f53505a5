"""Constant mixed load for some minutes, with compaction: what must not grow, measured as it goes.

`python -m tests.benchmarks.soak --minutes 10`: jobs, workflows and a schedule at a constant rate, and every half
minute a compaction. Prints a row every ten seconds and, at the end, what grew in the second half.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from logistics import Job, JobScheduler, OrchestrationEngine, Queue, WorkflowManager
from logistics.schedule.manager import ScheduleManager
from tests.benchmarks import tasks

KEEP_S = 20.0
COMPACT_S = 30.0
SAMPLE_S = 10.0
MIB = 1 << 20


class Sample(NamedTuple):
    """What is measured at one moment."""

    at_s: float
    jobs: int
    events: int
    memory_mib: float
    file_mib: float
    descriptors: int
    threads: int

    def row(self) -> str:
        """Return it as a line."""
        return (
            f"{self.at_s:>6.0f} s {self.jobs:>9} jobs {self.events:>9} events {self.memory_mib:>7.1f} MiB memory "
            f"{self.file_mib:>7.1f} MiB file {self.descriptors:>4} descriptors {self.threads:>4} threads"
        )


class Load:
    """Everything that goes on."""

    def __init__(self, engine: OrchestrationEngine, folder: Path, *, rate: int) -> None:
        self._engine = engine
        self._folder = folder
        self._rate = rate
        self._queue = Queue(engine=engine)
        self._manager = WorkflowManager(engine)
        self._manager.create("pair").add_step("first", tasks.noop, args=(1,)).add_step("second", tasks.noop)
        self._stopped = threading.Event()
        self._began_s = time.monotonic()
        self.jobs = 0

    def run(self, seconds: float) -> list[Sample]:
        """Work for so long; return the samples."""
        worker = JobScheduler(engine=self._engine)
        schedules = ScheduleManager(engine=self._engine)
        schedules.schedule_cron("tick", "* * * * *", tasks.noop, (1,))
        worker.start()
        schedules.start()
        compacting = threading.Thread(target=self._compact)
        compacting.start()
        samples: list[Sample] = []
        next_sample_s = SAMPLE_S
        while (now_s := time.monotonic() - self._began_s) < seconds:
            self._second()
            if now_s >= next_sample_s:
                next_sample_s += SAMPLE_S
                samples.append(self.sample())
                print(samples[-1].row(), flush=True)
        self._stopped.set()
        compacting.join()
        schedules.stop()
        worker.stop()
        return samples

    def _second(self) -> None:
        """Say what is said in one second, and wait for the next one."""
        begun_s = time.monotonic()
        self._queue.enqueue_many([Job("noop", tasks.noop, (1,)) for _ in range(self._rate)])
        _ = self._manager.start("pair")
        self.jobs += self._rate + 2
        self._stopped.wait(max(0.0, 1.0 - (time.monotonic() - begun_s)))

    def _compact(self) -> None:
        while not self._stopped.wait(COMPACT_S):
            self._engine.compact(KEEP_S, archive=False)

    def sample(self) -> Sample:
        """Measure."""
        return Sample(
            time.monotonic() - self._began_s,
            self.jobs,
            self._engine.get_metrics()["events_total"],
            _memory_mib(),
            (self._folder / "data.mdb").stat().st_size / MIB,
            len(os.listdir("/dev/fd")),  # noqa: PTH208 -- names are all that is wanted
            threading.active_count(),
        )


def _memory_mib() -> float:
    """Return the resident memory of this process; where that is not told, the largest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def slope(samples: list[Sample], what: str) -> float:
    """Return how fast something grows, in its unit a minute: the least squares over some samples."""
    xs = [sample.at_s / 60 for sample in samples]
    ys = [float(getattr(sample, what)) for sample in samples]
    middle = sum(xs) / len(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * y for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def main() -> None:
    """Run, and say what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=500, help="jobs a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "store"
        with OrchestrationEngine(folder) as engine:
            samples = Load(engine, folder, rate=arguments.rate).run(arguments.minutes * 60)
    later = samples[len(samples) // 2 :]
    if len(later) > 1:
        print("in the second half, a minute:", end="")
        for what, unit in (("memory_mib", "MiB memory"), ("file_mib", "MiB file")):
            print(f" {slope(later, what):+.2f} {unit},", end="")
        print(f" {slope(later, 'descriptors'):+.2f} descriptors, {slope(later, 'threads'):+.2f} threads")


if __name__ == "__main__":
    main()
