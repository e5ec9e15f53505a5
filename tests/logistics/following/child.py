"""A process that works, projects and hears of all that it does, until somebody kills it."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import Any

from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.logistics.audit import functions
from tests.logistics.following.test_projection import ByTag


def main(store: str, heard: str) -> None:
    file = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def hear(_event: Any, position: int) -> None:
        os.write(file, b"%d\n" % position)

    with OrchestrationEngine(store) as engine:
        os.write(file, b"begin\n")
        engine.project(ByTag())
        engine.follow("all", "*", hear, after=0)
        queue = Queue("q", engine=engine)
        for number in count():
            queue.enqueue_many([Job("one", functions.one) for _ in range(20)])
            JobScheduler(engine=engine).process(queue)
            print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
