"""The module-level mutable state that this project allows itself, each piece with its reason.

An entry is `module:name`. One whose state is gone fails the test, and so the list stays true.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "actors.runtime.naming:_TASKS": (
            "the table of names given by @logistics.task: a decorator runs before any engine exists"
        ),
        "actors.runtime.attempt:CURRENT": (
            "a context variable: inside a job the default engine is the one that runs the job, and a job that would "
            "wait for itself is refused"
        ),
        "actors.runtime.sigterm:_FORKING": (
            "a thread's own note during a fork, whose hooks are of the process and are given nothing"
        ),
        "eventstore.decoding:_TYPES": (
            "a lock around what msgspec keeps in classes, which are of the process and not of an engine"
        ),
        "logistics.orchestration.stores:STORES": (
            "the default engine and the stores that are open: handles on one path share one runtime"
        ),
        "logistics.cli.app:app": (
            "Typer's own way: commands are registered at import, nothing changes afterwards"
        ),
        "logistics.ids:new_id": (
            "the last id made: ids increase within the process, whichever engine they are for"
        ),
    }
)
