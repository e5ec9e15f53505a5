"""What the engines under test execute. Each execution leaves a line: job and attempt."""

from __future__ import annotations

import os
import threading

from actors.queue.specs import Input, JobSpec, RetryPolicy
from actors.runtime.attempt import AttemptContext
from actors.runtime.values import encode_call

RETRIES = RetryPolicy(3, 1_000)
"""Tries again at once, more or less."""
CONTEXT = (Input("ctx", "ctx", ""),)
"""Has a job's function get its context, as a step's does."""


class PlannedFailureError(Exception):
    """A failure that belongs to the test."""


def note(path: str, ctx: AttemptContext) -> None:
    """Leave a line: this attempt of this job was executed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{ctx.job_id} {ctx.attempt}\n".encode())
    finally:
        os.close(descriptor)


def work(path: str, ctx: AttemptContext, *, pause_ms: int = 0, failures: int = 0) -> int:
    """Leave a line, take a while, fail that many times, then return the attempt."""
    note(path, ctx)
    if pause_ms:
        threading.Event().wait(pause_ms / 1000)
    if ctx.attempt <= failures:
        raise PlannedFailureError(f"attempt {ctx.attempt}")
    return ctx.attempt


def step(path: str, ctx: AttemptContext, *, pause_ms: int = 0) -> str:
    """Do the work of a step."""
    note(path, ctx)
    if pause_ms:
        threading.Event().wait(pause_ms / 1000)
    return ctx.job_id


def job(
    job_id: str,
    path: object,
    *,
    queue: str = "load",
    pause_ms: int = 0,
    failures: int = 0,
    retry: RetryPolicy = RETRIES,
) -> JobSpec:
    """Return a job of `work`, as the queue takes it."""
    payload = encode_call((str(path),), {"pause_ms": pause_ms, "failures": failures})
    return JobSpec(job_id, queue, "work", f"{__name__}:work", payload, retry=retry, inputs=CONTEXT)
