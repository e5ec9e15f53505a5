"""Modules that are imported when they are first used: what few programs need, the others do not wait for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Later:
    """Stands for a module until one of its names is asked for, and after that.

    For what is heavy and not always used. Beside it stands the import itself, for those who check types.
    """

    _module: str

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
