"""Jobs that die in every way, or look around in the process that they run in."""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from logistics import AttemptContext, Retry


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


def forks() -> str:
    """Have a child that comes back, too, and first."""
    child = os.fork()
    if not child:
        return "child"
    select.select([os.pidfd_open(child)], [], [], 5)
    return "parent"


def terminates_its_children() -> list[int]:
    """Have children, a fork and another program, that SIGTERM ends; return how they ended."""
    child = os.fork()
    if not child:
        signal.alarm(20)
        threading.Event().wait()
    os.kill(child, signal.SIGTERM)
    program = subprocess.Popen(["sleep", "20"])
    program.terminate()
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), program.wait()]


def forks_and_dies(path: str) -> None:
    """Leave a child behind that goes on until it is killed."""
    child = os.fork()
    if not child:
        threading.Event().wait()
    Path(path).write_text(str(child))
    killed()


class Limited(Retry):
    """Asks to be tried again, and does not say when."""

    def __init__(self, response: int) -> None:
        self.response = response


def is_limited() -> None:
    raise Limited(429)


def prints(much: int) -> None:
    """Print more than is kept, colours and what is no text among it."""
    print("the beginning")
    for _ in range(much // 1024):
        os.write(1, b"x" * 1023 + b"\n")
    os.write(2, b"\x1b[31mred\x1b[0m \xff\x00 and\x1b]0;title\x07 bell\x07\n")
    print("the end")


def closes_output() -> None:
    sys.stdout.close()


def prints_and_dies() -> None:
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)


def prints_in_a_child() -> None:
    """Have a process of its own print."""
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)


def square(number: int) -> int:
    """Compute a little."""
    return number * number


def squares_elsewhere(way: str, numbers: list[int]) -> list[int]:
    """Compute in processes of this job's own."""
    with multiprocessing.get_context(way).Pool(1) as pool:
        return pool.map(square, numbers)
