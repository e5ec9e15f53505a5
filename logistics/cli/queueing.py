"""Orders to the queues of a store from the command line, while no other process has the store."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.queue.messages import DrainQueue, ListQueues
from actors.runtime.errors import UnknownIdError
from logistics.audit.store_reader import StoreReader
from logistics.cli.opening import open_existing
from logistics.cli.options import JobNameOption, JsonOption, StatusOption, StoreOption, statuses_of
from logistics.cli.output import say_done, show
from logistics.cli.standing import NO_QUEUES, QUEUES, queue_rows
from logistics.errors import JobNotFoundError
from logistics.task.queue import Queue
from logistics.task.record import queue_of

if TYPE_CHECKING:
    from collections.abc import Iterator


QueueArgument = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")]
OtherArgument = Annotated[str, typer.Argument(metavar="TO", help="Another queue.")]


def list_queues(*, store: StoreOption = None, json: JsonOption = False) -> None:
    """List queues, and how many of their jobs stand how; beside an engine that runs, too."""
    with StoreReader(store) as reader:
        show(QUEUES, queue_rows(reader.as_of()), as_json=json, empty=NO_QUEUES)


def pause(name: QueueArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Start nothing more of a queue until it is resumed."""
    with _queue(name, store) as queue:
        queue.pause()
    say_done(json, "paused", queue=name)


def resume(name: QueueArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Start jobs of a queue again, and take new ones on, after `pause` and `drain`."""
    with _queue(name, store) as queue:
        queue.resume()
    say_done(json, "resumed", queue=name)


def drain(name: QueueArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Take no more jobs on in a queue until it is resumed; those that are there are done by whoever serves it."""
    with _queue(name, store) as queue:
        queue.engine.ask("queue", DrainQueue(queue=name))
    say_done(json, "takes no more jobs on", queue=name)


def clear(name: QueueArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Cancel every job of a queue that has not begun."""
    with _queue(name, store) as queue:
        count = queue.clear()
    say_done(json, f"{count} cancelled", queue=name)


def cancel(job: JobArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Cancel a job that has not ended."""
    with _queue_of(job, store) as queue:
        said = "cancelled" if queue.cancel(job) else "has ended already"
    say_done(json, said, job=job)


def retry(job: JobArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Take up a job again that has not succeeded, with all its tries."""
    with _queue_of(job, store) as queue:
        queue.retry(job)
    say_done(json, "taken up again", job=job)


def retry_all(
    name: QueueArgument,
    *,
    status: StatusOption = None,
    named: JobNameOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Take up every failed job of a queue again, or those that stand otherwise without having succeeded."""
    with _queue(name, store) as queue:
        count = queue.retry_all(status=statuses_of(status) or "FAILED", name=named)
    say_done(json, f"{count} taken up again", queue=name)


def discard(job: JobArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Give up a job that failed, expired or waits for its function."""
    with _queue_of(job, store) as queue:
        queue.discard(job)
    say_done(json, "discarded", job=job)


def move(job: JobArgument, to: OtherArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Have a job that waits stand in another queue."""
    with _queue_of(job, store) as queue:
        queue.move(job, to)
    say_done(json, f"moved to {to}", job=job)


def move_all(
    name: QueueArgument,
    to: OtherArgument,
    *,
    status: StatusOption = None,
    named: JobNameOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Have every job of a queue that waits stand in another one, in the same order."""
    with _queue(name, store) as queue:
        count = queue.move_all(to, status=statuses_of(status), name=named)
    say_done(json, f"{count} moved to {to}", queue=name)


@contextmanager
def _queue(name: str, store: Path | None) -> Iterator[Queue]:
    """Open the store, and give the queue of this name. `UnknownIdError` if it never had a job: a slip, most likely."""
    with open_existing(store) as engine:
        known = engine.ask("queue", ListQueues())
        if name not in known:
            msg = f"no queue {name!r} on record; there is {', '.join(sorted(known)) or 'none'}"
            raise UnknownIdError(msg)
        yield Queue(name, engine=engine)


@contextmanager
def _queue_of(job_id: str, store: Path | None) -> Iterator[Queue]:
    """Open the store, and give the queue that a job stands in. `JobNotFoundError`."""
    with open_existing(store) as engine:
        history = [event for _, event in engine.history(f"job:{job_id}")]
        if not history:
            msg = f"no job {job_id!r} on record"
            raise JobNotFoundError(msg)
        yield Queue(queue_of(history), engine=engine)
