"""Jobs that die in every way, or look around in the process that they run in."""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import os
import signal
import threading
from pathlib import Path
from typing import Any

from logistics import AttemptContext


def whereabouts() -> int:
    return os.getpid()


def add(a: int, b: int) -> int:
    return a + b


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exits() -> None:
    os._exit(3)


def crashes() -> None:
    ctypes.string_at(0)


def raises_unpicklable() -> None:
    error = ValueError("handle")
    error.handle = threading.Lock()  # type: ignore[attr-defined]
    raise error


def returns_handle() -> object:
    return threading.Lock()


def raises_system_exit() -> None:
    raise SystemExit(3)


def never_ends(note: str) -> None:
    """Write down where this is, and stay."""
    path = Path(note)
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)
    threading.Event().wait()


def spoils(folder: str) -> str:
    """Leave a mess."""
    os.chdir(folder)
    os.environ["SPOILT"] = "yes"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return str(Path.cwd())


def reports(ctx: AttemptContext) -> list[Any]:
    ctx.progress(1, total=2, message="half")
    ctx.heartbeat()
    return [ctx.job_id, ctx.attempt, ctx.cancelled]


async def on_a_loop() -> int:
    """Say on which loop this runs."""
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())


def touch(note: str) -> None:
    Path(note).touch()


async def never_ends_on_a_loop(note: str) -> None:
    touch(note + ".begun")
    try:
        await asyncio.Event().wait()
    finally:
        touch(note)


async def raises_system_exit_on_a_loop() -> None:
    raise SystemExit(3)


def raises(kind: str) -> None:
    """Raise a built-in exception by its name."""
    raise getattr(builtins, kind)("no")
