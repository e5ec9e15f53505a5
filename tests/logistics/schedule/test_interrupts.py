"""Ctrl-C ends a program whose schedules are started, wherever it strikes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GONE_S = 1.0
BEGINNING = """
import threading
from logistics import CronScheduler


def work():
    pass


scheduler = CronScheduler()
scheduler.schedule("work", "0 0 * * *", work)
scheduler.start()
"""
UNCAUGHT = """
print("up", flush=True)
threading.Event().wait()
"""
CAUGHT = """
try:
    print("up", flush=True)
    threading.Event().wait()
except KeyboardInterrupt:
    print("caught", flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "printed"), [(UNCAUGHT, ""), (CAUGHT, "caught\n")], ids=["uncaught", "caught"]
)
def test_a_program_is_gone_within_a_second_of_ctrl_c(tmp_path: Path, ending: str, printed: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(BEGINNING + ending)
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "up\n"
            begun_s = time.monotonic()
            child.send_signal(signal.SIGINT)
            output, _ = child.communicate(timeout=20)
            assert output == printed
            assert time.monotonic() - begun_s < GONE_S
        finally:
            child.kill()
