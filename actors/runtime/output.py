"""What a process prints while it runs an attempt: the end of it is kept, as plain text, and how much was left out."""

from __future__ import annotations

import os
import re
from typing import Final

KEPT_BYTES: Final = 1 << 16
"""The last so many bytes of what an attempt prints are kept (F76)."""
READ_BYTES: Final = 1 << 16
LAST_READS: Final = 16
"""Looks for what is left in the pipe once an attempt has ended: whoever it left behind may print for ever."""
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""ANSI escape sequences: colours, movements, titles."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Printed:
    """The end of what was printed."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._left_out = 0

    def read(self, descriptor: int) -> bool:
        """Take what there is in a pipe that is not waited for; False if nothing more will come, or is there now."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        self._kept += data
        if len(self._kept) > 2 * KEPT_BYTES:
            self._cut()
        return bool(data)

    def read_rest(self, descriptor: int) -> None:
        """Take what is left in the pipe."""
        for _ in range(LAST_READS):
            if not self.read(descriptor):
                return

    def take(self) -> str:
        """Return it as text, and begin anew."""
        text = self.text()
        self._kept.clear()
        self._left_out = 0
        return text

    def _cut(self) -> None:
        more = max(0, len(self._kept) - KEPT_BYTES)
        del self._kept[:more]
        self._left_out += more

    def text(self) -> str:
        """Return it as text without escapes and control characters; what is no UTF-8 is shown as `�`."""
        self._cut()
        text = self._kept.decode("utf-8", "replace").replace("\r\n", "\n")
        text = CONTROLS.sub("", ESCAPES.sub("", text))
        if self._left_out:
            return f"({self._left_out} bytes before this were not kept)\n{text}"
        return text
