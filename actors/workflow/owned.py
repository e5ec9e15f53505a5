"""Runs that belong to a schedule: it asks for them as often as it likes, and is always told of the end (R8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.workflow.messages import RunEnded
from actors.workflow.specs import RunStatus

if TYPE_CHECKING:
    from actors.runtime.messages import Decision


def tell_owner(run_id: str, status: RunStatus, at_us: int, decision: Decision, refusal: str = "") -> None:
    """Tell the owner of a run that it has ended, or could not begin."""
    decision.tell("scheduler", RunEnded(run_id=run_id, status=status, ended_us=at_us, refusal=refusal))
