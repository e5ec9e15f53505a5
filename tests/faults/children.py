"""Real processes that a test starts, listens to, and kills: each in its own group, for a limited time."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
"""Longest life of a child; one that is still there then has failed."""


def plain_environment() -> dict[str, str]:
    """Return an environment in which no coverage is measured: that would handle signals and write files, too."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


class Process(Protocol):
    """What a child needs of whoever started it."""

    pid: int

    def wait(self, timeout_s: float, /) -> int:
        """Wait for the end; `TimeoutError`."""
        ...


class Child:
    """A process that runs a module of the tests; what it prints is read line by line."""

    def __init__(self, start: Starter, module: str, *arguments: object, limit_s: float = LIMIT_S) -> None:
        self._deadline_s = time.monotonic() + limit_s
        self._rest = b""
        self._lines: list[str] = []
        self._code: int | None = None
        self._explained: str | None = None
        with tempfile.TemporaryFile() as errors:
            self._errors = os.dup(errors.fileno())
        there, self._in = os.pipe()
        self._out, back = os.pipe()
        try:
            self._process = start.start(module, list(map(str, arguments)), (there, back, self._errors))
        finally:
            os.close(there)
            os.close(back)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._explained = self.errors
        for descriptor in (self._in, self._out, self._errors):
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    # -- talking ---------------------------------------------------------------------------------------------

    def line(self) -> str | None:
        """Wait for the next line; None when the child has closed its output."""
        while not self._lines:
            left_s = self._deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._out], [], [], left_s)[0]:
                raise AssertionError(f"the child said nothing more in time\n{self.explain()}")
            chunk = os.read(self._out, 1 << 16)
            if not chunk:
                return None
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines += [line.decode() for line in lines]
        return self._lines.pop(0)

    def expect(self, wanted: str) -> list[str]:
        """Wait for a line and return those before it."""
        before = []
        while (line := self.line()) != wanted:
            if line is None:
                raise AssertionError(f"the child ended without {wanted!r}\n{self.explain()}")
            before.append(line)
        return before

    def rest(self) -> list[str]:
        """Return everything that the child still says, up to its end."""
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines

    def say(self, text: str) -> None:
        """Write a line to the child's input."""
        with suppress(BrokenPipeError):
            os.write(self._in, f"{text}\n".encode())

    @property
    def errors(self) -> str:
        """What it wrote to its standard error so far."""
        if self._explained is not None:
            return self._explained
        return os.pread(self._errors, 1 << 20, 0).decode(errors="replace")

    # -- ending ----------------------------------------------------------------------------------------------

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this one process."""
        if self._code is None:  # not waited for: nobody else can have its number
            os.kill(self._process.pid, number)

    def end(self) -> int:
        """Wait for the child's end and return its exit code; negative is a signal."""
        if self._code is None:
            try:
                self._code = self._process.wait(max(0.0, self._deadline_s - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"the child did not end in time\n{self.explain()}") from None
        return self._code

    def kill(self) -> list[str]:
        """Kill it as `kill -9` does, if it is still there; return the lines that had not been read."""
        if self._code is None:
            self.send(signal.SIGKILL)
            self._code = self._process.wait(LIMIT_S)
            return self.rest()
        return []

    def explain(self) -> str:
        """Kill it and return what it wrote to its standard error."""
        if self._code is None:
            self.send(signal.SIGKILL)
            self._code = self._process.wait(LIMIT_S)
        return self.errors


class Starter(Protocol):
    """Starts processes."""

    def start(self, module: str, arguments: list[str], descriptors: tuple[int, int, int]) -> Process:
        """Run a module as a process with these as standard input, output and error."""
        ...


class Interpreters:
    """Starts each process as its user would: an interpreter of its own."""

    def start(self, module: str, arguments: list[str], descriptors: tuple[int, int, int]) -> Process:
        """Start one."""
        there, back, errors = descriptors
        return _Interpreter(
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=plain_environment(),
                stdin=there,
                stdout=back,
                stderr=errors,
                start_new_session=True,
            )
        )


class _Interpreter:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def wait(self, timeout_s: float, /) -> int:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error


class Nursery:
    """Starts processes as forks of one that has imported everything (`tests.faults.nursery`)."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())],
                cwd=ROOT,
                env=plain_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(LIMIT_S)

    def start(self, module: str, arguments: list[str], descriptors: tuple[int, int, int]) -> Process:
        """Have one forked."""
        order = json.dumps({"run": module, "arguments": arguments}).encode()
        socket.send_fds(self._socket, [order], list(descriptors))
        return _Fork(self, self.answer(LIMIT_S))

    def ask_for_end(self, pid: int) -> None:
        """Have it wait for the end of a process."""
        self._socket.sendall(json.dumps({"wait": pid}).encode())

    def answer(self, timeout_s: float) -> int:
        """Wait for its answer; `TimeoutError`."""
        self._socket.settimeout(max(0.001, timeout_s))
        text = b""
        while not text.endswith(b"\n"):
            text += self._socket.recv(64)
        return int(text)


class _Fork:
    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self._asked = False
        self.pid = pid

    def wait(self, timeout_s: float, /) -> int:
        if not self._asked:
            self._nursery.ask_for_end(self.pid)
            self._asked = True
        return self._nursery.answer(timeout_s)


def say(text: str) -> None:
    """Tell the parent something, at once and in one piece, from whatever thread."""
    os.write(1, f"{text}\n".encode())
