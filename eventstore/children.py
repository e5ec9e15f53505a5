"""A function in a child process: what can kill an interpreter kills that one, and is told as an error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from eventstore.decoding import json_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "import msgspec; from {module} import {name}; "
    "sys.stdout.buffer.write(msgspec.json.encode({name}(*sys.argv[2:])))"
)


class ChildDiedError(Exception):
    """A child was killed by a signal, or its function raised."""


def in_child(function: Callable[..., T], *arguments: str, answer: Any) -> T:
    """Return what a module's function gives for these texts, as a value of the type `answer`.

    `ChildDiedError` says what killed the child, a signal or an exception, on one line.
    """
    code = _CODE.format(module=function.__module__, name=function.__name__)
    child = subprocess.run(  # noqa: S603 - our own interpreter and code, no shell
        [sys.executable, "-c", code, json.dumps(sys.path), *arguments], capture_output=True, check=False
    )
    if child.returncode:
        raise ChildDiedError(_last_words(child))
    found: T = json_decoder(answer)(child.stdout)
    return found


def _last_words(child: subprocess.CompletedProcess[bytes]) -> str:
    lines = child.stderr.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it said nothing"
    if child.returncode > 0:
        return last
    return f"the process that tried it was killed by {signal.Signals(-child.returncode).name} ({last})"
