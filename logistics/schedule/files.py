"""Schedules in files: TOML or JSON becomes definitions, and every mistake is named with its place.

A file has `name` (that of the group), `timezone` (of schedules that name none) and `schedules`, a list of tables.
Each has a `name`, a `function` (`module:function`), `args` and `kwargs`, one of `cron`, `rrule`, `at` and the
constructors of `RecurringSchedule` (`every`, `daily`, `weekly`, `monthly`, `yearly`: a table of their arguments),
and whatever `CronScheduler.schedule` takes as options. In `exclude`, `{holidays = "CH", subdivision = "ZH"}` is a
calendar of holidays.
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
from logistics.orchestration.config import ConfigError, imported_functions, parsed_file, tables_of
from logistics.orchestration.lines import with_lines
from logistics.schedule.calendar import Calendar
from logistics.schedule.definition import HASHED, ScheduleDefinition, ScheduleOptions, define
from logistics.schedule.expression import CronExpression
from logistics.schedule.occurrences import Occurrences
from logistics.schedule.recurrence import RecurringSchedule

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
    function: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
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
    functions = imported_functions(
        file, {f"{place}.function": table.function for place, table in zip(places, tables, strict=True)}
    )
    definitions = []
    for place, table in zip(places, tables, strict=True):
        try:
            definition = _definition(table, functions[f"{place}.function"])
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


def _definition(table: _Table, function: Callable[..., Any]) -> ScheduleDefinition:
    options: Any = {
        name: value for name in ScheduleOptions.__annotations__ if (value := getattr(table, name)) is not None
    }
    if "exclude" in options:
        options["exclude"] = [_excluded(each) for each in options["exclude"]]
    return ScheduleDefinition(table.name, _schedule(table), function, table.args, table.kwargs, **options)


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
