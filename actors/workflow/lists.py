"""How a run gets on with lists: items are scheduled a few at a time, and a step ends with the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.workflow.events import ItemEnded, ItemsScheduled, StepSpread
from actors.workflow.jobs import item_job
from actors.workflow.step_ends import StepEnds

if TYPE_CHECKING:
    from actors.workflow.run import Fan

WINDOW = 512
"""Items of one list that are under way at one time, where nobody has set a limit: a bound of memory."""


class Lists(StepEnds):
    """A decision about a run, as far as it is about the items of its lists."""

    def _spread(self, step: int, count: int) -> None:
        """Begin with the items of the list that a step is mapped over."""
        self._decision.emit(StepSpread(self._run.run_id, step, count, self._now_us))
        if count:
            self._send(step, 0, count, self._limit(step))
        else:
            self.completed(step, 1, self._now_us)

    def _limit(self, step: int) -> int:
        return self._run.graph.options[step].parallel or WINDOW

    def _send(self, step: int, first: int, count: int, most: int) -> None:
        """Schedule items from `first` on, `most` of them, of `count` altogether."""
        number = min(most, count - first)
        if number > 0 and not self._paused:
            self._decision.emit(ItemsScheduled(self._run.run_id, step, first, number, self._now_us))
            items = range(first, first + number)
            self._jobs += [item_job(self._run, step, item, self._ahead) for item in items]

    def _refill(self, step: int, fan: Fan, flying: int) -> None:
        """Schedule more items: at once where their number has a limit, else when half of them have ended."""
        limit = self._limit(step)
        if self._run.graph.options[step].parallel or flying <= limit // 2:
            self._send(step, fan.next, fan.count, limit - flying)

    def _item_ended(self, step: int, item: int, error: str, attempts: int, at_us: int) -> None:
        run = self._run
        fan = run.extras.fans[step]
        self._decision.emit(ItemEnded(run.run_id, step, item, attempts, error, at_us))
        flying, failed = fan.under_way - 1, fan.failed + bool(error)
        first_error = fan.error or f"item {item}: {error}"
        if failed and run.graph.options[step].on_failure == "stop":
            own = run.job_id(step, str(item))
            self._cancel_jobs(job_id for job_id in run.owed_jobs(step) if job_id != own)
            self.orphans += run.children(step)
            self.failed(step, 1, f"{first_error}; the others were stopped", at_us, failed)
        elif flying or fan.next < fan.count:
            self._refill(step, fan, flying)
        elif failed:
            error = f"{failed} of {fan.count} items failed; {first_error}"
            self.failed(step, 1, error, at_us, failed)
        else:
            self.completed(step, 1, at_us)
