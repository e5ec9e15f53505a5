"""A queue as a whole: what it lets through, whether it goes on, and what it has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.messages import (
    ClearQueue,
    ConfigureQueue,
    DrainQueue,
    GetMetrics,
    GetQueueSettings,
    GetStats,
    PauseQueue,
    ResumeQueue,
)
from actors.queue.specs import QueueSettings
from actors.queue.tallies import MINUTE_US
from logistics.inputs import timeout_s
from logistics.task import limits
from logistics.task.waiting import wait_until_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.queue.messages import QueueMetrics, QueueStats
    from logistics.inputs import Duration
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.task.limits import Limits, Rate

LATELY = 5
"""Minutes that a throughput is the mean of."""


class QueueControl:
    """What `Queue` does that is about no single job."""

    name: str
    _engine: OrchestrationEngine

    def __len__(self) -> int:
        """Return how many jobs are ready."""
        return self.size()

    def __bool__(self) -> bool:
        """Return True: an empty queue is a queue."""
        return True

    def size(self) -> int:
        """Return how many jobs are ready to start."""
        return self._stats().ready

    def clear(self) -> int:
        """Cancel every job that has not begun; return how many there were."""
        return int(self._engine.ask("queue", ClearQueue(queue=self.name)))

    @property
    def paused(self) -> bool:
        """Whether it starts nothing until `resume`."""
        return self._stats().paused

    @property
    def draining(self) -> bool:
        """Whether it takes no more jobs on until `resume`."""
        return self._stats().draining

    def pause(self) -> None:
        """Start nothing more until `resume`; it stays paused over restarts."""
        self._engine.ask("queue", PauseQueue(queue=self.name))

    def resume(self) -> None:
        """Start jobs again, and take new ones on, after `pause` and `drain`."""
        self._engine.ask("queue", ResumeQueue(queue=self.name))

    def drain(self, timeout: Duration | None = None, *, refuse_new: bool = False) -> bool:
        """Wait until no pending, running or retrying job is left; False if there still is one after `timeout` seconds.

        With `refuse_new` the queue takes no more jobs on from now on, over restarts too, until `resume`: they are
        refused with `QueueDrainingError`. Steps of runs, and firings of schedules, are taken on all the same. Somebody
        has to serve the queue; what is scheduled for later, taken by hand, unresolved or paused is not waited for.
        """
        limit_s = timeout_s("timeout", timeout)
        if refuse_new:
            self._engine.ask("queue", DrainQueue(queue=self.name))
        return wait_until_idle(self._engine, self.name, timeout_s=limit_s)

    def configure(
        self,
        *,
        concurrency: int | None = None,
        per_key: int | None = None,
        per_function: Mapping[Callable[..., Any], int] | None = None,
        rate: Rate | None = None,
        rate_per_key: Rate | None = None,
        weights: Mapping[str, int] | None = None,
        ageing: Duration | None = None,
        max_retries: int | None = None,
        retry_delay: Duration | None = None,
        retry_rate: Rate | None = None,
    ) -> None:
        """Say what this queue lets through, from now on and over restarts; what is not named has no limit.

        Args:
            concurrency: jobs of this queue that run at one time.
            per_key: jobs of one `concurrency_key` that run at one time.
            per_function: jobs of a function that run at one time, by function.
            rate: how many start in a span of time.
            rate_per_key: the same for the jobs of each `concurrency_key`.
            weights: shares of groups, 1 for those that are not named.
            ageing: seconds of waiting that are worth one step of priority, so that nobody waits for ever.
            max_retries: for jobs that say nothing of their retries; 3 unless said.
            retry_delay: likewise, 1 second unless said; exponential, with full jitter.
            retry_rate: how many retries may fall due in a span of time; the others wait longer.

        """
        settings = QueueSettings(
            limits.limit("concurrency", concurrency),
            limits.limit("per_key", per_key),
            limits.limits_of_functions(per_function, self._engine.register),
            limits.rate("rate", rate),
            limits.rate("rate_per_key", rate_per_key),
            limits.weights(weights),
            limits.ageing(ageing),
            limits.retry(max_retries, retry_delay),
            limits.rate("retry_rate", retry_rate),
        )
        self._engine.ask("queue", ConfigureQueue(queue=self.name, settings=settings))

    def limits(self) -> Limits:
        """Return what `configure` has set."""
        return limits.limits_of(self._engine.query("queue", GetQueueSettings(queue=self.name)))

    def get_stats(self) -> dict[str, int]:
        """Return counts; they cost the same with ten jobs as with ten million.

        `queue_length` (ready now), `scheduled_count` (waiting for a time), `total_jobs` (every job on record),
        and each status in lower case.
        """
        stats = self._stats()
        counts = {status.lower(): count for status, count in stats.by_status.items()}
        return {
            "queue_length": stats.ready,
            "scheduled_count": stats.waiting,
            "total_jobs": sum(counts.values()),
            **counts,
        }

    def get_metrics(self) -> dict[str, Any]:
        """Return how long jobs waited and ran, and how many completed; costs the same whatever there was.

        `waits`: from ready to started; `functions`: by name `completed`, `failed`, `runs`; spans are seconds, as
        `p50`, `p90` and `p99`, right within a fifth. `completed_per_minute`: the mean of the last 5 whole minutes.
        """
        metrics: QueueMetrics = self._engine.query("queue", GetMetrics(queue=self.name))
        minute = self._engine.store.runtime.clock.now_us() // MINUTE_US
        lately = [count for at, count in metrics.per_minute if minute - LATELY <= at < minute]
        return {
            "waits": _seconds(metrics.waits),
            "functions": {
                each.function: {
                    "completed": each.completed,
                    "failed": each.failed,
                    "runs": _seconds(each.runs),
                }
                for each in metrics.functions
            },
            "completed_per_minute": sum(lately) / LATELY,
        }

    def _stats(self) -> QueueStats:
        stats: QueueStats = self._engine.query("queue", GetStats(queue=self.name))
        return stats


def _seconds(quantiles: tuple[int, int, int]) -> dict[str, float]:
    return dict(zip(("p50", "p90", "p99"), (each / 1e6 for each in quantiles), strict=True))
