"""Scripts of the documentation, run the way a reader runs them: a file in a folder, as its own process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT

LIMIT_S: Final = 60
GONE_S: Final = 1.0
"""How long a script may take to leave after SIGINT (the contract of `start()`)."""

UP: Final = "the script is up"
# `start()` returns at once and keeps the process alive when the program has ended. A signal that comes before that
# ends the program with a traceback, as it should; so this says "up" once the main thread has ended and stands still.
SAY_WHEN_UP: Final = f"""
import sys as _sys, threading as _threading
def _say_when_up():
    main, place, looks = _threading.main_thread(), None, 0
    while looks < 20:
        frame = _sys._current_frames()[main.ident]
        looks = looks + 1 if place == (frame, frame.f_lasti) and not main.is_alive() else 0
        place = frame, frame.f_lasti
        _threading.Event().wait(0.002)
    print({UP!r}, flush=True)
_threading.Thread(target=_say_when_up, daemon=True).start()
"""
PRINTS = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
"""A line that says what it prints."""
STARTS = re.compile(r"^\s*\w*(?:cheduler|anager|chedules?|s)\.(?:start|run_forever)\(\s*\)", re.MULTILINE)


def stays_up(script: str) -> bool:
    """Whether a script starts a scheduler, and so runs until it is interrupted."""
    return STARTS.search(script) is not None and ".stop(" not in script


def environment() -> dict[str, str]:
    """The reader's environment: our packages can be imported, the store is in the working folder, all at full speed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "LOGISTICS_HOME" and not name.startswith("COVERAGE_")
    }
    before = kept.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), *([before] if before else [])])
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def run_once(script: Path, *, as_said: bool = False) -> None:
    """Run a script to its end, or until it is up and then interrupt it; fail with its output.

    With `as_said`, `print(…)  # text` is to print that line, in a script that ends by itself.
    """
    text = script.read_text(encoding="utf-8")
    if stays_up(text):
        _run_until_up(script, text)
    else:
        _run_to_the_end(script, PRINTS.findall(text) if as_said else ())


def _run_to_the_end(script: Path, said: Iterable[str]) -> None:
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=script.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    _check(script, done.returncode, {0}, done.stdout, done.stderr)
    missing = [line for line in said if line not in done.stdout.splitlines()]
    assert not missing, f"{script.name} is said to print {missing}, and prints\n{done.stdout}"


def _run_until_up(script: Path, text: str) -> None:
    script.write_text(f"{text}\n{SAY_WHEN_UP}", encoding="utf-8")
    try:
        with _process(script) as process:
            seen = _read_until_up(process)
            up = UP in seen
            process.send_signal(signal.SIGINT)
            try:
                out, errors = process.communicate(timeout=GONE_S if up else LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, errors = process.communicate()
                raise AssertionError(
                    f"{script.name} was still there {GONE_S} s after SIGINT\n{seen}{out}\n{errors}"
                ) from None
    finally:
        script.write_text(text, encoding="utf-8")
    assert up, f"{script.name} ended before it was up\n{seen}{out}\n{errors}"
    _check(script, process.returncode, {0, 130, -signal.SIGINT}, seen + out, errors)


@contextmanager
def _process(script: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, script.name],
        cwd=script.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _read_until_up(process: subprocess.Popen[str]) -> str:
    """What the script prints until it is up; a pipe that is read to its end is a script that has ended."""
    assert process.stdout is not None
    lines: list[str] = []
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    for line in process.stdout:
        lines.append(line)
        if UP in line:
            break
    watchdog.cancel()
    return "".join(lines)


def _check(script: Path, code: int, allowed: set[int], out: str, errors: str) -> None:
    report = f"{script.name} ended with {code}\n--- stdout\n{out}\n--- stderr\n{errors}"
    assert code in allowed, report
    assert "Traceback" not in errors, report
