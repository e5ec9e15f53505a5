"""Where the functions of an engine run: threads, processes, or a pool of the user's own."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from actors.runtime.desk import end_with
from actors.runtime.errors import InputError
from logistics.task.life import EXECUTORS

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from actors.runtime.pool import PoolFactory

LOKY = "loky"
IDLE_S = 10
"""How long a process of a loky pool waits for work before it ends."""


def engine_executor(executor: object) -> str | PoolFactory:
    """Return where an engine has its functions run. `InputError` for anything else, or if loky is not installed."""
    if executor == LOKY:
        _loky()
        return loky_pool
    if executor in EXECUTORS:
        return str(executor)
    if not callable(executor):
        names = ", ".join(map(repr, (*EXECUTORS, LOKY)))
        msg = f"executor: expected {names}, or a function that makes a pool of n workers, got {executor!r}"
        raise InputError(msg)
    factory: PoolFactory = executor
    return factory


def loky_pool(workers: int) -> Executor:
    """Return a pool of loky's processes, which are made with the program's main module, like `process`."""
    loky = _loky()
    pool: Executor = loky.ProcessPoolExecutor(
        workers,
        timeout=IDLE_S,
        context=loky.backend.get_context("loky_init_main"),
        initializer=end_with,
        initargs=(os.getpid(),),
    )
    return pool


def _loky() -> Any:
    try:
        return importlib.import_module("loky")
    except ModuleNotFoundError as error:
        msg = "executor: 'loky' needs the extra: pip install 'logistics[loky]'"
        raise InputError(msg) from error
