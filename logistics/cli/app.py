"""The commands, as typer wants them: a table, for what is not called is not imported."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

import typer

from logistics.cli.menu import Menu
from logistics.version import package_version

# `click.ClickException`, or what took its place where typer brings its own copy of click.
UsageProblem: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")


class Commands(Menu):
    """All commands that are in no group."""

    entries = MappingProxyType(
        {
            "run": ("runner:run", "Run a workflow from a file, to its end."),
            "validate": (
                "inspection:validate",
                (
                    "Check workflows: the files, their functions, and that everything a step needs can be "
                    "given to it."
                ),
            ),
            "graph": ("inspection:graph", "Show the steps of a workflow, and what waits for what."),
            "preview": (
                "schedules:preview",
                "Show when a cron expression runs, and which runs a gap or a fold of the zone touches.",
            ),
            "status": ("standing:status", "Show how much there is of everything."),
            "jobs": (
                "jobs:jobs",
                (
                    "List jobs that have not ended, in the order of their enqueueing; with --ended all, "
                    "newest first."
                ),
            ),
            "show": (
                "showing:show_one",
                "Show one event, a job, a run or a schedule, or the newest event of any other thing.",
            ),
            "history": ("reading:history", "Show everything that happened to one job, run or schedule."),
            "events": ("reading:events", "List events in the order of the log."),
            "tail": (
                "reading:tail",
                "Show the newest events, and with --follow those that are still to come.",
            ),
            "why": (
                "explaining:why",
                "Say why a job or run is where it is, or what became of a time of a schedule.",
            ),
            "rehearse": (
                "rehearsing:rehearse",
                "Say what would happen if an engine opened the store now and nobody gave it a command.",
            ),
            "verify": (
                "auditing:verify",
                (
                    "Check every checksum and the chain from the first event to the last; exit code 1 if "
                    "something is wrong."
                ),
            ),
            "checkpoint": (
                "auditing:checkpoint",
                (
                    "Sign the end of the log: a line of JSON, which proves later that nothing before it "
                    "was changed."
                ),
            ),
            "replay": (
                "auditing:replay",
                "Fold the log from its beginning to a moment; print what the state's hash is there.",
            ),
            "diff": ("auditing:diff", "Show what has changed between two moments."),
            "doctor": (
                "doctoring:doctor",
                (
                    "Say what is wrong with a store, in use or not; it is never changed. Exit code 1 if "
                    "something is."
                ),
            ),
            "upgrade-check": (
                "upgrading:check",
                (
                    "Say what under way does not fit the code that can be imported here. Exit code 1 if "
                    "something will not go on."
                ),
            ),
            "backup": (
                "copying:backup",
                "Copy a store, in use or not, and read the copy back. Never use cp or rsync for that.",
            ),
            "restore": (
                "copying:restore",
                "Copy a backup to where a store is to be; there must be nothing yet.",
            ),
            "export": (
                "copying:export",
                (
                    "Write the log as lines of JSON: whole and provable, or a part of it, such as one run "
                    "with all it needs."
                ),
            ),
            "import": (
                "copying:import_export",
                (
                    "Make a new store of an export: the same, chain and all, or a part, which can only be "
                    "looked into."
                ),
            ),
            "compact": (
                "retaining:compact",
                (
                    "Forget what was over long ago, in a store that nobody has open; an engine does it by "
                    "itself: retention=."
                ),
            ),
            "archive": (
                "retaining:archive",
                (
                    "List the files that compactions have archived, each read to its end; exit code 1 if "
                    "one is damaged."
                ),
            ),
            "erase": (
                "erasing:erase",
                (
                    "Erase what was said of somebody, in a store that nobody has open: their key is "
                    "destroyed, for good."
                ),
            ),
            "schema": (
                "describing:schema",
                "Print the JSON Schema of every command and event; with --json on one line.",
            ),
            "bench": (
                "benching:bench",
                "Measure this machine and this disk with jobs that do nothing; takes some seconds.",
            ),
        }
    )


class Schedules(Menu):
    """The schedules of a store."""

    entries = MappingProxyType(
        {
            "apply": (
                "schedules:apply",
                "Make a file's schedules all that its group has: create, change, remove, all or nothing.",
            ),
            "list": (
                "timetable:list_schedules",
                "List schedules: when they fire next, and what they have done.",
            ),
            "run": (
                "ordering:run",
                "Fire the schedules of a store, and serve all its queues, until Ctrl-C or SIGTERM.",
            ),
            "preview": (
                "ordering:preview",
                (
                    "Show when a schedule of the store fires next, and which of that a gap or a fold of "
                    "its zone touches."
                ),
            ),
            "pause": ("ordering:pause", "Fire nothing of a schedule until it is resumed."),
            "resume": (
                "ordering:resume",
                "Fire a schedule again, from now on: time spent paused is not caught up.",
            ),
            "trigger": (
                "ordering:trigger",
                "Fire a schedule now, out of turn; it begins when a scheduler of the store is started.",
            ),
            "remove": ("ordering:remove", "Forget a schedule; what it has fired goes on."),
            "backfill": (
                "ordering:backfill",
                "Run a schedule for its past times, each at most once, a thousand at a time at most.",
            ),
        }
    )


class Runs(Menu):
    """The runs of a store."""

    entries = MappingProxyType(
        {
            "list": ("runs:runs", "List runs, newest first, ended or not."),
            "signal": (
                "controlling:signal",
                "Send a value to a step that waits for one, or will, such as an approval.",
            ),
            "cancel": (
                "controlling:cancel",
                "Cancel a run that has not ended; what it has done is undone, where its steps say how.",
            ),
            "pause": ("controlling:pause", "Begin no more steps of a run until it is resumed."),
            "resume": ("controlling:resume", "Go on with a run that was paused."),
            "retry": (
                "controlling:retry",
                "Begin a new run that does again what did not succeed in one that has ended.",
            ),
            "restart": (
                "controlling:restart",
                "Begin a new run that does again a step of one that has ended, and all that depends on it.",
            ),
        }
    )


class Queues(Menu):
    """The queues of a store, and the jobs in them."""

    entries = MappingProxyType(
        {
            "list": (
                "queueing:list_queues",
                "List queues, and how many of their jobs stand how; beside an engine that runs, too.",
            ),
            "pause": ("queueing:pause", "Start nothing more of a queue until it is resumed."),
            "resume": (
                "queueing:resume",
                "Start jobs of a queue again, and take new ones on, after `pause` and `drain`.",
            ),
            "drain": (
                "queueing:drain",
                (
                    "Take no more jobs on in a queue until it is resumed; those that are there are done by "
                    "whoever serves it."
                ),
            ),
            "clear": ("queueing:clear", "Cancel every job of a queue that has not begun."),
            "cancel": ("queueing:cancel", "Cancel a job that has not ended."),
            "retry": ("queueing:retry", "Take up a job again that has not succeeded, with all its tries."),
            "discard": ("queueing:discard", "Give up a job that failed, expired or waits for its function."),
            "move": ("queueing:move", "Have a job that waits stand in another queue."),
            "retry-all": (
                "queueing:retry_all",
                (
                    "Take up every failed job of a queue again, or those that stand otherwise without "
                    "having succeeded."
                ),
            ),
            "move-all": (
                "queueing:move_all",
                "Have every job of a queue that waits stand in another one, in the same order.",
            ),
        }
    )


class Sessions(Menu):
    """The sessions of a store: limits for who works there."""

    entries = MappingProxyType(
        {
            "list": ("places:list_sessions", "List sessions, newest first; beside an engine that runs, too."),
            "create": (
                "places:create_session",
                "Record a session, for `logistics run --session ID` and for programs; its limits are obeyed.",
            ),
            "close": ("places:close_session", "End a session, and give back what is held under its id."),
        }
    )


class Projects(Menu):
    """The projects of a store: a folder and a record each."""

    entries = MappingProxyType(
        {
            "list": (
                "places:list_projects",
                "List projects in the order in which they were made; beside an engine that runs, too.",
            ),
            "create": (
                "places:create_project",
                "Record a project, for `logistics run --project NAME` and for programs, and make its folder.",
            ),
            "set-status": ("places:set_status", "Say how a project stands."),
        }
    )


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, group in (
    ("runs", Runs),
    ("schedules", Schedules),
    ("queue", Queues),
    ("session", Sessions),
    ("project", Projects),
):
    app.add_typer(typer.Typer(cls=group, help=group.__doc__), name=name)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 -- typer calls it with the option's value
    if wanted:
        typer.echo(f"logistics {package_version()}")
        raise typer.Exit


@app.callback()
def logistics(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Durable workflows in one process and one folder."""
