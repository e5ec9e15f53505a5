"""What comes between where Python collects garbage, and other threads, or finalizers, have their turn."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def at_every_collection(do: Callable[[], object]) -> Iterator[None]:
    """Collect garbage as often as can be, and have something done each time."""

    def begins(phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            do()

    before = gc.get_threshold()
    gc.callbacks.append(begins)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(begins)
