"""What is left when a process has died: the log, checked from its beginning, and lines of executions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.queue.events import JobCompleted, JobEnqueued, JobFailed, JobStarted
from actors.runtime.fold import fold
from actors.simulation.checks import History
from eventstore.lmdb_log import LmdbLog
from eventstore.records import NO_LINK

if TYPE_CHECKING:
    from actors.runtime.messages import Event
    from eventstore.log import Log


class Evidence:
    """A log's events, after every check that a log alone allows."""

    def __init__(self, log: Log) -> None:
        codec = event_codec()
        self.events: list[Event] = []
        link, position = NO_LINK, 0
        for frame in log.frames():
            assert frame.first == position + 1, "positions are gapless"
            assert frame.previous == link, "each frame names the one before"
            link, position = frame.link, frame.last
            self.events += codec.decode_frame(frame)
        assert position == log.head.position
        self.history = History()
        self.history.take_all(self.events)  # attempts in order, ends final, no effect before its cause
        rules = [actor.rules for actor in ACTORS]
        states = fold(log, codec, rules)
        again = fold(log, codec, rules)
        for name, state in states.items():
            assert state.dump() == again[name].dump(), name
        self.states = states

    @classmethod
    def of(cls, path: Path) -> Evidence:
        """Read a store on disk, whose owner is dead or does not mind."""
        with LmdbLog.open(path, read_only=True) as log:
            return cls(log)

    def all(self, *kinds: type[Event]) -> list[Any]:
        """Return the events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    def of_job(self, job_id: str) -> list[str]:
        """Return the tags of a job's events."""
        return [tag_of(event) for event in self.events if event.entity == f"job:{job_id}"]

    def check_executions(self, lines: Path) -> None:
        """Hold what was executed against what was recorded.

        Every attempt that began had been recorded as started, ran once, and none began after its job was
        recorded as completed; the attempt that completed a job did run. Jobs that only find something out for a
        step leave no line.
        """
        executed = Counter(read_lines(lines))
        assert all(times == 1 for times in executed.values()), executed.most_common(3)
        started = {(event.job_id, event.attempt) for event in self.all(JobStarted)}
        assert executed.keys() <= started, sorted(executed.keys() - started)
        completed = {event.job_id: event.attempt for event in self.all(JobCompleted)}
        assert len(completed) == len(self.all(JobCompleted)), "completed twice"
        silent = {
            event.spec.job_id for event in self.all(JobEnqueued) if event.spec.work and event.spec.work.gives
        }
        for job_id, attempt in completed.items():
            assert job_id in silent or (job_id, attempt) in executed, f"{job_id} is completed and never ran"
        late = [key for key in executed if key[1] > completed.get(key[0], key[1])]
        assert not late, f"ran again after their completion was recorded: {late}"

    def failed(self) -> dict[str, str]:
        """Return the errors of failed jobs by their ids."""
        return {event.job_id: event.error for event in self.all(JobFailed)}


def read_lines(lines: Path) -> list[tuple[str, int]]:
    """Return job and attempt of each execution, in order."""
    if not lines.exists():
        return []
    pairs = [line.split() for line in lines.read_text().splitlines()]
    return [(job_id, int(attempt)) for job_id, attempt in pairs]


def tag_of(event: Event) -> str:
    """Return an event's tag."""
    tag = type(event).__struct_config__.tag
    assert isinstance(tag, str)
    return tag
