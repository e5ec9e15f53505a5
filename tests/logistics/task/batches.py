"""Functions that do a batch of jobs in one call, well or badly."""

from __future__ import annotations

import asyncio
from typing import Any

from logistics import BatchedJob
from tests.logistics.task.functions import Current


def double(jobs: list[BatchedJob]) -> list[Any]:
    """Double each number; what is none fails."""
    Current.notes.lines.append(len(jobs))
    return [job.args[0] * 2 if isinstance(job.args[0], int) else ValueError("no number") for job in jobs]


async def double_later(jobs: list[BatchedJob]) -> list[Any]:
    await asyncio.sleep(0)
    return [job.args[0] * 2 for job in jobs]


def all_or_none(jobs: list[BatchedJob]) -> None:
    """Fail as a whole because of one of them."""
    Current.notes.lines.append(len(jobs))
    if any(job.args[0] == "bad" for job in jobs):
        raise ValueError("one of them is bad")


def settles_some(jobs: list[BatchedJob]) -> list[int]:
    """Tell of the first two at once, and wait with the others."""
    jobs[0].complete("early")
    jobs[1].fail("early, too")
    Current.notes.begun.release()
    assert Current.notes.go_on.wait(30)
    return [0] * len(jobs)


def answers_wrongly(jobs: list[BatchedJob]) -> list[int]:
    return [1] * (len(jobs) + 1)


def cannot_be_kept(jobs: list[BatchedJob]) -> list[Any]:
    return [object() if job.args[0] else 1 for job in jobs]


def total(jobs: list[BatchedJob]) -> list[int]:
    """Add up what came before each."""
    return [sum(job.args) for job in jobs]
