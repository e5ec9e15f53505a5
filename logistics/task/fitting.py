"""Whether the arguments of a job fit its function: asked when it is enqueued, as every attempt would fail."""

from __future__ import annotations

import inspect
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING

from actors.runtime.attempt import context_place
from actors.runtime.binding import call_problems
from actors.runtime.errors import InputError

if TYPE_CHECKING:
    from logistics.task.job import Job

NOT_JUDGED = frozenset(("__wrapped__", "__signature__"))
"""Attributes of functions that say something else of their parameters than their code."""


def check_fit(job: Job, results: int = 0) -> None:
    """Refuse a job whose function cannot be called as it will be: `InputError`. So many results come behind its `args`.

    Only a plain function is judged: a decorator may give another one arguments of its own. A job that was read back
    is not, as it is on record.
    """
    func = job.func
    if type(func) is not FunctionType:
        return
    code = func.__code__
    if (
        len(job.args) + results == code.co_argcount
        and not job.kwargs
        and not code.co_kwonlyargcount
        and not job.batch
    ):
        return  # every place is filled: the most frequent call, and no need to look it up
    if job.created_at is None:
        if job.batch:
            _check_batch(func)
        else:
            _check_call(func, len(job.args), tuple(job.kwargs), results)


@lru_cache(maxsize=1024)
def _check_call(func: FunctionType, count: int, names: tuple[str, ...], results: int) -> None:
    """Refuse a call; what is refused is not remembered, as the function's code may be replaced."""
    gets_ctx = not results and context_place(func) is not None
    total = count + results
    given = f"{total} positional argument{'' if total == 1 else 's'}"
    if results:
        given += (
            f" ({count} in args, and {results} that the job{'' if results == 1 else 's'} before returned)"
        )
    if names:
        given += f" and {', '.join(map(repr, names))} by name"
    _refuse(func, given, total, names, ctx=gets_ctx)


@lru_cache(maxsize=1024)
def _check_batch(func: FunctionType) -> None:
    _refuse(func, "a list of BatchedJob and nothing else, as batch= says", 1, (), ctx=False)


def _refuse(func: FunctionType, given: str, count: int, names: tuple[str, ...], *, ctx: bool) -> None:
    """Refuse a call that Python would not make."""
    if not NOT_JUDGED.isdisjoint(vars(func)):
        return
    signature = inspect.signature(func)
    problems = call_problems(signature, count=count, names=names, ctx=ctx)
    if problems:
        msg = f"job: {func.__qualname__}{_shown(signature)} cannot be called with {given}: {'; '.join(problems)}"
        raise InputError(msg)


def _shown(signature: inspect.Signature) -> str:
    """Return the parameters without annotations, and with `…` for each default."""
    bare = [
        each.replace(annotation=each.empty, default=each.empty if each.default is each.empty else ...)
        for each in signature.parameters.values()
    ]
    return str(inspect.Signature(bare)).replace("=Ellipsis", "=…")
