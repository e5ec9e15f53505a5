"""The child in which commands read a store: which are in one, and that it ends when it should."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from logistics.cli.guard import UNGUARDED, wants_guard
from logistics.orchestration.engine import OrchestrationEngine
from tests.logistics.cli.test_every_command import COMMANDS

ROOT = Path(__file__).parents[3]


def test_every_command_that_looks_into_a_store_is_guarded() -> None:
    """A new one is guarded unless somebody names it."""
    assert {name for name in COMMANDS if not wants_guard([*name.split(), "--json"])} == UNGUARDED
    for arguments in ([], ["--help"], ["--version"], ["--install-completion"]):
        assert not wants_guard(arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_command_alone_ends_its_child(tmp_path: Path, number: signal.Signals) -> None:
    OrchestrationEngine(tmp_path / "store").close()
    tail = subprocess.Popen(
        [sys.executable, "-m", "logistics.cli.main", "tail", "-f", "--store", str(tmp_path / "store")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert tail.stdout is not None
    assert b"engine.opened" in tail.stdout.readline()
    tail.send_signal(number)
    _, err = tail.communicate(timeout=60)  # returns when the child has closed its end, too
    assert (tail.returncode, err.rstrip()) == {
        signal.SIGINT: (130, b"logistics: interrupted"),
        signal.SIGTERM: (143, b"logistics: terminated"),
        signal.SIGKILL: (-signal.SIGKILL, b""),
    }[number]
