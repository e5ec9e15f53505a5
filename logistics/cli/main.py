"""The entry point of the command `logistics`: signals, exit codes, one line for each error."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventstore.errors import LogisticsError

try:
    from logistics.cli.app import UsageProblem, app
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"typer", "rich", "click"}:
        raise
    missing = error.name
else:
    missing = ""

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


class Terminated(BaseException):
    """Somebody sent SIGTERM: everything is to be closed, as for Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    0: success; 1: the run failed; 2: usage, bad input, or a store that cannot be used; 130: Ctrl-C; 143:
    SIGTERM.
    """
    if missing:
        _say(f"the command line needs {missing}: pip install 'logistics[cli]'")
        return USAGE
    try:
        with _terminable():
            return _called(arguments)
    except KeyboardInterrupt:
        code, word = INTERRUPTED, "interrupted"
    except Terminated:
        code, word = TERMINATED, "terminated"
    _say(f"{word}; the same command again goes on where this one was")
    return code


def _called(arguments: Sequence[str] | None) -> int:
    try:
        code: Any = app(args=arguments, prog_name="logistics", standalone_mode=False)
    except UsageProblem as problem:
        _say(problem.format_message())
        return USAGE
    except LogisticsError as problem:
        _say(str(problem))
        return USAGE
    if code == INTERRUPTED:  # how newer versions of typer say it
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception of the main thread, so that `with` closes what is open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    sys.stderr.write(f"logistics: {' '.join(text.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
