"""Orders to the schedules of a store from the command line, while no other process has the store."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.runtime.errors import UnknownIdError
from logistics.audit.store_reader import StoreReader
from logistics.cli.opening import open_existing
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import say, say_done, say_rows
from logistics.cli.schedules import Apply, apply_to, moment_of, refuse_mistakes
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.manager import ScheduleManager
from logistics.schedule.scheduled import planned
from logistics.schedule.timezone import TimezoneManager
from logistics.task.job_scheduler import JobScheduler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logistics.schedule.scheduled import BackfilledRun

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule.")]


def pause(name: NameArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Fire nothing of a schedule until it is resumed."""
    with _manager(store) as manager:
        say_done(json, "paused" if manager.pause(name) else "is paused already", name=name)


def resume(name: NameArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Fire a schedule again, from now on: time spent paused is not caught up."""
    with _manager(store) as manager:
        say_done(json, "resumed" if manager.resume(name) else "is not paused", name=name)


def trigger(name: NameArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Fire a schedule now, out of turn; it begins when a scheduler of the store is started."""
    with _manager(store) as manager:
        say_done(json, f"triggered: {manager.trigger(name)}", name=name)


def remove(name: NameArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Forget a schedule; what it has fired goes on."""
    with _manager(store) as manager:
        manager.preview(name, 0)  # the error that says so if there is none
        manager.cancel(name)
        say_done(json, "removed", name=name)


def backfill(
    name: NameArgument,
    *,
    begin: Annotated[
        str,
        typer.Option("--from", metavar="TIME", help="From when on, in its zone, or how long ago, like 7d."),
    ],
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Until when; now, if left out.")
    ] = None,
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Run a schedule for its past times, each at most once, a thousand at a time at most.

    They begin when a scheduler of the store is started.
    """
    with _manager(store) as manager:
        manager.preview(name, 0)  # the error that says so if there is none
        task = manager.get(name)
        assert task is not None
        zone = TimezoneManager(task.timezone)
        until = zone.now() if end is None else moment_of(end, zone, "--to")
        made_up = manager.backfill(name, moment_of(begin, zone, "--from"), until, dry_run=dry_run)
    if json:
        rows = [{"at": each.at.isoformat(), "rule": each.rule, "job_id": each.job_id} for each in made_up]
        say_rows(rows)
    else:
        _list(made_up, "would be made up" if dry_run else "made up")


def run(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Schedules to be applied first: .toml, .json or .yaml files."),
    ] = None,
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Fire the schedules of a store, and serve all its queues, until Ctrl-C or SIGTERM."""
    refuse_mistakes(files or (), store)
    with OrchestrationEngine(store) as engine:
        for file in files or ():
            apply_to(engine, Apply(file, store, dry_run=False, json=json))
        manager = ScheduleManager(engine=engine)
        waiting = [task.next_run for task in manager.list_tasks() if task.next_run is not None]
        first = f", the next one at {min(waiting):%Y-%m-%d %H:%M:%S %z}" if waiting else ""
        say_done(json, f"{len(waiting)} to fire{first}", name="schedules")
        JobScheduler(engine=engine).start()
        manager.run_forever()


def preview(
    name: NameArgument,
    *,
    count: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many runs.")] = 10,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show when a schedule of the store fires next, and which of that a gap or a fold of its zone touches."""
    with StoreReader(store) as reader:
        view = next((each for each in reader.as_of().schedules() if each.name == name), None)
    if view is None:
        msg = f"no schedule {name!r} on record"
        raise UnknownIdError(msg)
    runs = planned(view, count, time.time_ns() // 1000)
    rows = [{"at": each.at.isoformat(), "due": each.due.isoformat(), "rule": each.rule} for each in runs]
    if json:
        say_rows(rows)
        return
    for each in runs:
        later = f"  due {each.due:%H:%M:%S}" if each.due != each.at else ""
        say(f"{each.at:%a %Y-%m-%d %H:%M:%S %z}{later}  {each.rule}".rstrip())


def _list(made_up: list[BackfilledRun], what: str) -> None:
    for each in made_up:
        say(f"{each.at.isoformat()}  {each.job_id}")
    say(f"{len(made_up)} {what}")


@contextmanager
def _manager(store: Path | None) -> Iterator[ScheduleManager]:
    with open_existing(store) as engine:
        yield ScheduleManager(engine=engine)
