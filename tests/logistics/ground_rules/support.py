"""How the ground rules are tried: refusals by their text, scripts in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from logistics.errors import (
    InputError,
)

ROOT = Path(__file__).parents[3]


def refused(text: str, error: type[Exception] = InputError) -> Any:
    return pytest.raises(error, match=text)


def run_child(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=environment.pop("CWD", str(ROOT)),
        env={"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
