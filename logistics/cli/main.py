"""The entry point of the command `logistics`: signals, exit codes, one line for each error."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from eventstore.errors import LogisticsError
from logistics.cli.guard import guarded, wants_guard
from logistics.cli.interrupts import Interrupted, Interrupts

missing = next((name for name in ("typer", "rich") if find_spec(name) is None), "")
"""What the extra would bring, and is not there; of `rich` that would come to light late."""
if not missing:
    from logistics.cli.app import UsageProblem, app
    from logistics.cli.output import NobodyReads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FAILED = 1
USAGE = 2
WORDS: tuple[tuple[int, str], ...] = ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))


def program() -> int:
    """Run the command line as a program of its own: what reads a store does so in a child of it."""
    arguments = sys.argv[1:]
    if wants_guard(arguments):
        return guarded(main, died=FAILED if arguments[0] == "verify" else USAGE)
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    0: success; 1: the run failed, or what was verified is not as it should be; 2: usage, bad input, or a store
    that cannot be used; 130: Ctrl-C; 141: nobody reads our output any more; 143: SIGTERM.
    """
    if missing:
        _say(f"the command line needs {missing}: pip install 'logistics[cli]'")
        return USAGE
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no character for it shows another
    try:
        with Interrupts() as interrupts, _warnings_heard():
            return _called(arguments, interrupts)
    except (BrokenPipeError, NobodyReads):  # whoever read what we print has seen enough
        return _unread()
    except SystemExit as end:  # so typer and rich end in the middle of help
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return _unread()
    except Interrupted as end:
        given = sys.argv[1:] if arguments is None else arguments
        goes_on = "; the same command again goes on where this one was" if "run" in given[:2] else ""
        _say(dict(WORDS)[end.number] + goes_on)
        return 128 + end.number


@contextmanager
def _warnings_heard() -> Iterator[None]:
    """Say on standard error what cannot be read: an archive, and the last commit after a power failure."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("logistics: %(message)s"))
    loggers = (logging.getLogger("logistics.archive"), logging.getLogger("logistics.reader"))
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def _called(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    try:
        code: Any = app(args=arguments, prog_name="logistics", standalone_mode=False, obj=interrupts)
    except UsageProblem as problem:
        if said := problem.format_message():  # of help that nobody asked for there is nothing to say
            _say(said)
        return USAGE
    except LogisticsError as problem:
        _say(_with_remedy(problem))
        return USAGE
    except BrokenPipeError:
        raise
    except OSError as problem:
        _say(f"{problem.filename or 'the system'}: {problem.strerror or problem}")
        return USAGE
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _nowhere() -> TextIO:
    """What is printed to if this program was started without the place for it (`>&-`)."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _unread() -> int:
    """Let what is left to print go nowhere, so that the interpreter does not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _with_remedy(problem: LogisticsError) -> str:
    said, remedy = str(problem), getattr(problem, "remedy", "")
    return f"{said.rstrip('.')}. {remedy}" if remedy else said


def _say(text: str) -> None:
    sys.stderr.write(f"logistics: {' '.join(text.split())}\n")


if __name__ == "__main__":
    sys.exit(program())
