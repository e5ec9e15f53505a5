"""The progress of a run on a terminal: a bar for the whole, and one for each step of a small workflow."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from actors.queue.events import JobRetrying
from actors.workflow.events import (
    ItemEnded,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepSpread,
    StepWaiting,
)
from actors.workflow.specs import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.run import WorkflowRun

PATTERNS = ("step.*", "item.ended", "job.retrying", "run.*")
LAG_S = 1.0
"""How long events that are behind the end of the run are waited for."""
ROWS = 20
"""Workflows with more steps have one bar only."""
STATUS_AFTER = (
    (StepScheduled, StepStatus.RUNNING),
    (StepWaiting, StepStatus.WAITING),
    (StepCompleted, StepStatus.COMPLETED),
    (StepFailed, StepStatus.FAILED),
    (StepSkipped, StepStatus.SKIPPED),
    (StepCancelled, StepStatus.CANCELLED),
)
OPEN = (StepStatus.PENDING, StepStatus.WAITING, StepStatus.RUNNING, StepStatus.RETRYING)


@contextmanager
def progress_of(
    engine: OrchestrationEngine, run: WorkflowRun, console: Console, *, quiet: bool
) -> Iterator[None]:
    """Show how a run gets on until the block ends: bars on a terminal, a line for each step elsewhere."""
    if quiet:
        yield
        return
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    display = _Display(run, bars, None if console.is_terminal else console)
    begun, _ = engine.history(f"run:{run.run_id}")[0]
    # Of a run that goes on, what was done before is shown as it stands and not told once more.
    after = None if run.adopted else begun
    subscriptions = [engine.subscribe(pattern, display.take, after=after) for pattern in PATTERNS]
    try:
        with bars:
            if run.adopted:
                display.catch_up()
            yield
            display.ended.wait(LAG_S)
            display.catch_up()
    finally:
        for subscription in subscriptions:
            subscription.cancel()


class _Display:
    """What is known of each step, and the bars that show it. Told from two threads."""

    def __init__(self, run: WorkflowRun, bars: Progress, plain: Console | None) -> None:
        self._run = run
        self._bars = bars
        self._plain = plain
        self.ended = threading.Event()
        """Set when the end of the run was told."""
        self._lock = threading.Lock()
        self._names = list(run.steps)
        self._status: dict[str, StepStatus] = {}
        self._whole = bars.add_task(run.name, total=len(self._names), status="")
        shown = self._names if len(self._names) <= ROWS else []
        self._rows = {
            name: bars.add_task(f"  {name}", total=1, start=False, visible=False, status="") for name in shown
        }

    def catch_up(self) -> None:
        """Show every step as the log has it."""
        with self._lock:
            for name, step in self._run.steps.items():
                self._show(name, step.status)
        if all(self._status.get(name) not in (None, *OPEN) for name in self._names):
            self.ended.set()

    def take(self, event: Any, _position: int) -> None:
        """Show what an event says."""
        if isinstance(event, JobRetrying):
            run_id, _, number = event.job_id.rpartition(".")
            if run_id == self._run.run_id and number.isdecimal():
                self._tell(int(number), StepStatus.RETRYING)
        elif event.run_id == self._run.run_id and isinstance(event, StepSpread | ItemEnded):
            with self._lock:
                self._count(event)
        elif event.run_id == self._run.run_id:
            for kind, status in STATUS_AFTER:
                if isinstance(event, kind):
                    self._tell(event.step, status)
            if event.final:
                self.ended.set()

    def _count(self, event: StepSpread | ItemEnded) -> None:
        """Show how far a step is with its list."""
        row = self._rows.get(self._names[event.step])
        if row is None:
            return
        if isinstance(event, StepSpread):
            self._bars.update(row, total=event.count)
        else:
            self._bars.advance(row)

    def _tell(self, step: int, status: StepStatus) -> None:
        with self._lock:
            self._show(self._names[step], status)

    def _show(self, name: str, status: StepStatus) -> None:
        before = self._status.get(name, StepStatus.PENDING)
        if status is before or before not in OPEN:
            return  # an event that comes after the log was read
        self._status[name] = status
        ended = sum(each not in OPEN for each in self._status.values())
        self._bars.update(self._whole, completed=ended)
        row = self._rows.get(name)
        if row is not None:
            if status in OPEN:
                self._bars.start_task(row)
            self._bars.update(
                row,
                visible=True,
                total=None if status in OPEN else 1,
                completed=status not in OPEN,
                status=status.lower(),
            )
            if status not in OPEN:
                self._bars.stop_task(row)
        if self._plain is not None and status is not StepStatus.WAITING:
            self._plain.print(f"{self._run.name}: {name}: {status.lower()}", markup=False, soft_wrap=True)
