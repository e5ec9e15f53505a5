"""A process that has imported everything and forks whoever is to be killed: starting anew costs too much.

It opens no store and starts no thread, so its children are as good as new ones. Run as
`python -m tests.faults.nursery DESCRIPTOR`, with one end of a socket pair; it ends when the other end is
closed.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
from collections.abc import Sequence

import logistics.orchestration.engine
import logistics.task.job_scheduler
import logistics.task.waiting  # noqa: F401 -- imported for the children, as the others
import tests.faults.children
import tests.faults.evidence
import tests.faults.tasks  # noqa: F401


def main(descriptor: int) -> None:
    """Serve one parent; in a forked child, run what it is to run and return."""
    with socket.socket(fileno=descriptor) as parent:
        while True:
            request, descriptors, _, _ = socket.recv_fds(parent, 1 << 16, 3)
            if not request:
                return
            order = json.loads(request)
            if "wait" in order:
                _, status = os.waitpid(order["wait"], 0)
                answer = os.waitstatus_to_exitcode(status)
            else:
                answer = os.fork()
                if not answer:
                    break
                for each in descriptors:
                    os.close(each)
            parent.sendall(f"{answer}\n".encode())
    live(order["run"], order["arguments"], descriptors)


def live(module: str, arguments: list[str], descriptors: Sequence[int]) -> None:
    """Be a process of one's own that runs a module."""
    os.setsid()
    for place, each in enumerate(descriptors):
        os.dup2(each, place)
        os.close(each)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
