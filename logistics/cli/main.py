"""The entry point of the command `logistics`: signals, exit codes, one line for each error."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from eventstore.errors import LogisticsError
from logistics.cli.interrupts import Interrupted, Interrupts

try:
    from logistics.cli.app import UsageProblem, app
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"typer", "rich", "click"}:
        raise
    missing = error.name
else:
    missing = ""

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2
WORDS: tuple[tuple[int, str], ...] = ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    0: success; 1: the run failed; 2: usage, bad input, or a store that cannot be used; 130: Ctrl-C; 143:
    SIGTERM.
    """
    if missing:
        _say(f"the command line needs {missing}: pip install 'logistics[cli]'")
        return USAGE
    try:
        with Interrupts() as interrupts:
            return _called(arguments, interrupts)
    except Interrupted as end:
        _say(f"{dict(WORDS)[end.number]}; the same command again goes on where this one was")
        return 128 + end.number


def _called(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    try:
        code: Any = app(args=arguments, prog_name="logistics", standalone_mode=False, obj=interrupts)
    except UsageProblem as problem:
        _say(problem.format_message())
        return USAGE
    except LogisticsError as problem:
        _say(str(problem))
        return USAGE
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    sys.stderr.write(f"logistics: {' '.join(text.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
