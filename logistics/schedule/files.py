"""Schedules in files: TOML or JSON becomes definitions, and every mistake is named with its place.

A file has `name` (that of the group), `timezone` (of schedules that name none) and `schedules`, a list of tables.
Each has a `name`; a `function` (`module:function`) with `args` and `kwargs`, and a table `job` of what else a `Job`
takes, or a `workflow` (a file beside this one, or the name of one on record) with `params`; one of `cron`, `rrule`,
`at` and the constructors of `RecurringSchedule` (`every`, `daily`, `weekly`, `monthly`, `yearly`: a table of their
arguments); and whatever `CronScheduler.schedule` takes as options. In `exclude`, `{holidays = "CH",
subdivision = "ZH"}` is a calendar of holidays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.schedule.errors import ScheduleError
from eventstore.errors import LogisticsError
from logistics.errors import WorkflowNotFoundError
from logistics.orchestration.config import tables_of
from logistics.orchestration.files import read_definitions
from logistics.orchestration.importing import imported_functions
from logistics.orchestration.lines import with_lines
from logistics.orchestration.parsing import ConfigError, parsed_file
from logistics.orchestration.running import find_workflow, register
from logistics.orchestration.workflow import Workflow
from logistics.schedule.calendar import Calendar
from logistics.schedule.definition import HASHED, ScheduleDefinition, ScheduleOptions, define
from logistics.schedule.expression import CronExpression
from logistics.schedule.occurrences import Occurrences
from logistics.schedule.recurrence import RecurringSchedule
from logistics.schedule.target import Target
from logistics.task.job import Job

if TYPE_CHECKING:
    import os

    from logistics.orchestration.engine import OrchestrationEngine


@dataclass(frozen=True)
class ScheduleFile:
    """What a file says: the name of the group, the zone of schedules that name none, the schedules."""

    name: str
    timezone: str | None
    definitions: tuple[ScheduleDefinition, ...]


class _Outline(msgspec.Struct):
    name: str
    schedules: list[dict[str, Any]]
    timezone: str | None = None


class _Table(msgspec.Struct, omit_defaults=True):
    name: str
    function: str | None = None
    workflow: str | None = None
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    params: dict[str, Any] = {}
    job: dict[str, Any] | None = None
    cron: str | None = None
    gap: str | None = None
    fold: str | None = None
    days: str | None = None
    seconds: str | None = None
    rrule: str | None = None
    at: datetime | list[datetime] | None = None
    every: dict[str, Any] | None = None
    daily: dict[str, Any] | None = None
    weekly: dict[str, Any] | None = None
    monthly: dict[str, Any] | None = None
    yearly: dict[str, Any] | None = None
    timezone: str | None = None
    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    retry_delay: float | None = None
    catch_up: str | None = None
    limit: int | None = None
    window: float | None = None
    overlap: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    max_runs: int | None = None
    exclude: list[Any] | None = None
    jitter: float | None = None
    subject: str | None = None


SUFFIXES = (".toml", ".json", ".yaml", ".yml")
"""What the name of a file ends with; a workflow whose own name does cannot be named here."""
CRON_RULES = ("gap", "fold", "days", "seconds")
KINDS: Mapping[str, Callable[..., RecurringSchedule]] = MappingProxyType(
    {
        "every": RecurringSchedule.every,
        "daily": RecurringSchedule.daily,
        "weekly": RecurringSchedule.weekly,
        "monthly": RecurringSchedule.monthly,
        "yearly": RecurringSchedule.yearly,
    }
)
WAYS = ("cron", "rrule", "at", *KINDS)


def load_schedules(path: str | os.PathLike[str], engine: OrchestrationEngine) -> ScheduleFile:
    """Read a file and import its functions; `ConfigError` names every mistake with its place."""
    file = Path(path).absolute()
    text, data = parsed_file(file)
    try:
        return _loaded(file, data, engine)
    except ConfigError as error:
        raise ConfigError(file, with_lines(error.problems, text, file.suffix)) from None


def _loaded(file: Path, data: Any, engine: OrchestrationEngine) -> ScheduleFile:
    problems: list[str] = []
    outlines = tables_of({"": data}, _Outline, problems)
    if not outlines:
        raise ConfigError(file, problems)
    (outline,) = outlines
    places = {f"schedules[{index}]": table for index, table in enumerate(outline.schedules)}
    tables = tables_of(places, _Table, problems)
    if problems:
        raise ConfigError(file, problems)
    targets = _targets(file, dict(zip(places, tables, strict=True)), engine)
    definitions = []
    for place, table in zip(places, tables, strict=True):
        try:
            definition = _definition(table, targets[place])
            define(
                engine,
                definition.name,
                definition.schedule,
                definition.call,
                default_timezone=outline.timezone,
                **definition.options,
            )
        except (LogisticsError, TypeError) as error:
            problems.append(f"{place} ({table.name!r}): {error}")
        else:
            definitions.append(definition)
    if problems:
        raise ConfigError(file, problems)
    return ScheduleFile(outline.name, outline.timezone, tuple(definitions))


def _targets(file: Path, tables: Mapping[str, _Table], engine: OrchestrationEngine) -> dict[str, Target]:
    """Return the function or the workflow of each table, by its place."""
    problems = [
        f"{place} ({table.name!r}): expected one of function, with args, kwargs and job, and workflow, with params"
        for place, table in tables.items()
        if (table.function is None) is (table.workflow is None)
        or (table.params if table.workflow is None else table.args or table.kwargs or table.job)
    ]
    if problems:
        raise ConfigError(file, problems)
    named = {f"{place}.function": table.function for place, table in tables.items() if table.function}
    functions = imported_functions(file, named)
    workflows: dict[str, Workflow] = {}
    targets: dict[str, Target] = {}
    for place, table in tables.items():
        if table.workflow is None:
            targets[place] = functions[f"{place}.function"]
            continue
        try:
            if table.workflow not in workflows:
                workflows[table.workflow] = _workflow(file, table.workflow, engine)
            targets[place] = workflows[table.workflow]
        except LogisticsError as error:
            problems.append(f"{place}.workflow: {error}")
    if problems:
        raise ConfigError(file, problems)
    return targets


def _workflow(file: Path, said: str, engine: OrchestrationEngine) -> Workflow:
    """Return the workflow of a file, defined as it says, or the one on record under a name."""
    if said.lower().endswith(SUFFIXES):
        own, *_ = [register(engine, each) for each in read_definitions(file.parent / said, engine)]
        return own
    workflow = find_workflow(engine, said)
    if workflow is None:
        msg = f"there is no workflow {said!r} on record, and no file's name ends so ({', '.join(SUFFIXES)})"
        raise WorkflowNotFoundError(msg)
    return workflow


def _definition(table: _Table, target: Target) -> ScheduleDefinition:
    options: Any = {
        name: value for name in ScheduleOptions.__annotations__ if (value := getattr(table, name)) is not None
    }
    if "exclude" in options:
        options["exclude"] = [_excluded(each) for each in options["exclude"]]
    args, kwargs = table.args, table.kwargs if table.workflow is None else table.params
    if table.job is not None and not isinstance(target, Workflow | Job):
        target, args, kwargs = Job(table.name, target, args, kwargs, **table.job), [], {}
    return ScheduleDefinition(table.name, _schedule(table), target, args, kwargs, **options)


def _schedule(table: _Table) -> Occurrences[Any]:
    given = [way for way in WAYS if getattr(table, way) is not None]
    if len(given) != 1:
        raise ScheduleError(
            f"expected one of {', '.join(WAYS)}, got {' and '.join(given) if given else 'none'}"
        )
    (way,) = given
    rules = {rule: value for rule in CRON_RULES if (value := getattr(table, rule)) is not None}
    if rules and way != "cron":
        raise ScheduleError(f"{', '.join(rules)} beside {way}: only cron takes it here")
    if table.cron is not None:
        hashed = table.name if HASHED.search(table.cron) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the command line shows the difference, not Python's warnings
            return CronExpression(table.cron, hash_name=hashed, **rules)
    if table.rrule is not None:
        return RecurringSchedule.from_rrule(table.rrule)
    if table.at is not None:
        return RecurringSchedule.once(table.at)
    return KINDS[way](**getattr(table, way))


def _excluded(value: Any) -> Any:
    if isinstance(value, dict):
        if "holidays" not in value or set(value) - {"holidays", "subdivision"}:
            raise ScheduleError(f"exclude: expected {{holidays = …, subdivision = …}}, got {value!r}")
        return Calendar.holidays(value["holidays"], value.get("subdivision"))
    return value
