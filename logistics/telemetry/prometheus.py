"""The engine's state in the text format of Prometheus; nothing is measured until somebody asks."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from actors.queue.messages import GetMetrics, GetStats, ListQueues
from actors.schedule.messages import GetSchedules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from logistics.audit.past import RecordedEvent
    from logistics.orchestration.engine import OrchestrationEngine

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES: Final = ("0.5", "0.9", "0.99")
Sample = tuple["Mapping[str, str]", float]


class PrometheusMetrics:
    """Counts events by a subscription, and asks for the rest whenever `text` is called."""

    def __init__(self, engine: OrchestrationEngine) -> None:
        """Begin to count."""
        self._engine = engine
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter()
        self._subscription = engine.listen("*", self._count)

    def __repr__(self) -> str:
        return f"PrometheusMetrics({self._engine!r})"

    def _count(self, event: RecordedEvent) -> None:
        with self._lock:
            self._events[event.tag] += 1

    def close(self) -> None:
        """Count no more."""
        self._subscription.cancel()

    def text(self) -> str:
        """Return all metrics, in the text format of Prometheus."""
        return "".join(_family(*family) for family in self._families())

    def _families(self) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
        engine = self._engine
        health = engine.health_check()
        yield "healthy", "gauge", "Whether commands are taken.", [({}, health["healthy"])]
        with self._lock:
            events = sorted(self._events.items())
        counted = [({"tag": tag}, float(count)) for tag, count in events]
        yield "events_total", "counter", "Events since this process began to count, by tag.", counted
        metrics = engine.get_metrics()
        for name, sort, text, key in _PLAIN:
            yield name, sort, text, [({}, metrics[key])]
        runs = engine.get_system_status()["runs"]
        yield "runs", "gauge", "Runs on record, by status.", [({"status": s}, n) for s, n in runs.items()]
        yield from self._queues()
        yield from self._schedules()

    def _queues(self) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
        ask = self._engine.query
        names = sorted(ask("queue", ListQueues()))
        stats = {name: ask("queue", GetStats(queue=name)) for name in names}
        jobs = [
            ({"queue": name, "status": status.lower()}, count)
            for name, each in stats.items()
            for status, count in each.by_status.items()
        ]
        yield "jobs", "gauge", "Jobs on record, by queue and status.", jobs
        ready = [({"queue": name}, each.ready) for name, each in stats.items()]
        yield "jobs_ready", "gauge", "Jobs that could start now, by queue.", ready
        retried = [({"queue": name}, each.retried) for name, each in stats.items()]
        yield "retries_total", "counter", "Attempts that were followed by another one.", retried
        measured = {name: ask("queue", GetMetrics(queue=name)) for name in names}
        waits = [
            ({"queue": name, "quantile": quantile}, value / 1e6)
            for name, each in measured.items()
            for quantile, value in zip(QUANTILES, each.waits, strict=True)
        ]
        yield "job_wait_seconds", "gauge", "From ready to started, by quantile.", waits
        runs = [
            ({"queue": name, "function": function.function, "quantile": quantile}, value / 1e6)
            for name, each in measured.items()
            for function in each.functions
            for quantile, value in zip(QUANTILES, function.runs, strict=True)
        ]
        yield "job_run_seconds", "gauge", "How long attempts ran, by quantile.", runs

    def _schedules(self) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
        views = self._engine.query("scheduler", GetSchedules())
        fired = [({"schedule": view.name}, view.runs) for view in views]
        yield "schedule_firings_total", "counter", "Firings, by schedule.", fired
        late = [({"schedule": view.name}, view.late_us / 1e6) for view in views]
        yield "schedule_late_seconds", "gauge", "How late the last firing was.", late


_PLAIN: Final = (
    ("log_position", "gauge", "Position of the newest event.", "events_total"),
    ("commits_total", "counter", "Commits of this process.", "commits_total"),
    ("commit_backlog", "gauge", "What waits to be written.", "backlog"),
    ("workers", "gauge", "Functions that may run at one time.", "workers"),
    ("workers_abandoned", "gauge", "Workers whose function nobody waits for any more.", "workers_abandoned"),
)


def _family(name: str, sort: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP logistics_{name} {text}\n", f"# TYPE logistics_{name} {sort}\n"]
    lines += (f"logistics_{name}{_labels(labels)} {_number(value)}\n" for labels, value in samples)
    return "".join(lines)


def _labels(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: Any) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
