"""Scripts that are killed in the middle: each a process of its own, waited for by what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
LIMIT_S: Final = 60.0
READY: Final = "ready to be killed"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "LOGISTICS_HOME"}
    before = kept.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), *([before] if before else [])])
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | more


def run(
    arguments: list[str], folder: Path, *, limit_s: float = LIMIT_S, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end; killed after `limit_s`, which raises `TimeoutExpired`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )


def kill_when_ready(arguments: list[str], folder: Path, **more: str) -> None:
    """Run Python until it prints that it is ready, and kill it."""
    with until(READY, arguments, folder, **more) as process:
        process.kill()


@contextmanager
def until(mark: str, arguments: list[str], folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python until it prints a line with `mark`; what it prints is in `stdout`, its errors too."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A child of a background job ignores SIGINT as its parent does; this undoes that.
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 -- between fork and exec nothing else happens
    )
    with process:
        watchdog = threading.Timer(LIMIT_S, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            seen = []
            for line in process.stdout:
                seen.append(line)
                if mark in line:
                    break
            else:
                raise AssertionError(f"it ended before it printed {mark!r}\n{''.join(seen)}")
            yield process
            process.communicate()
        finally:
            watchdog.cancel()
            process.kill()


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
