"""Functions that do many jobs in one call in a process, and die, print, or are told to stop there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
from pathlib import Path
from typing import Any

from logistics import BatchedJob
from tests.faults.ways import LOOK_S


def doubles(jobs: list[BatchedJob]) -> list[Any]:
    """Say what was doubled, by whom, for how many; one is no number, another one's result cannot be kept."""
    answers: list[Any] = []
    for job in jobs:
        job.ctx.progress(1, total=2)
        (value,) = job.args
        if value == "bad":
            answers.append(ValueError("no number"))
        elif value == "handle":
            answers.append(threading.Lock())
        else:
            answers.append([value * 2, os.getpid(), len(jobs), job.ctx.attempt, job.ctx.job_id == job.job_id])
    return answers


async def doubles_later(jobs: list[BatchedJob]) -> list[Any]:
    await asyncio.sleep(0)
    return doubles(jobs)


def raises(jobs: list[BatchedJob]) -> None:
    """Tell of the first, and raise."""
    jobs[0].complete("told")
    raise ValueError("for the others")


def dies(jobs: list[BatchedJob]) -> list[str]:
    """Tell of the first two and end in the middle of the first call; what comes alone afterwards is done."""
    if len(jobs) == 1:
        return ["done"]
    jobs[0].complete("told")
    jobs[1].fail("told, too")
    how = jobs[0].args[0]
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.string_at(0)
    return []


def prints(jobs: list[BatchedJob]) -> None:
    """Print for each job, and tell of all but two before the end."""
    for number, job in enumerate(jobs):
        print("for", job.args[0])
        if number < len(jobs) - 2:
            job.complete()


def waits(jobs: list[BatchedJob]) -> list[str]:
    """Say that it has begun, and wait for the word to go, or for being told that nobody waits for some of them."""
    folder = Path(jobs[0].args[0])
    (folder / "begun").touch()
    looking = threading.Event()
    while not (folder / "go").exists():
        for number, job in enumerate(jobs):
            if job.ctx.cancelled:
                (folder / f"told-{number}").touch()
        looking.wait(LOOK_S)
    return ["went"] * len(jobs)
