"""Options that several commands have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from actors.queue.specs import JobStatus
from actors.runtime.errors import InputError

if TYPE_CHECKING:
    from enum import StrEnum

    from logistics.audit.store_reader import StoreReader

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="PATH", help="The store's folder; else $LOGISTICS_HOME, else .logistics here."
    ),
]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="The file of keys, if not in the store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print lines of JSON.")]
CloudEventsOption = Annotated[
    bool, typer.Option("--cloud-events", help="Print lines of JSON in the shape of CloudEvents 1.0.")
]
SessionOption = Annotated[str | None, typer.Option("--session", metavar="ID", help="Of this session only.")]
ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="Under this project only.")
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many at most.")]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="A position of the log, an instant like 2027-03-28T01:00:00Z, or how long ago, like 2h.",
    ),
]


StatusOption = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="STATUS", help="Only jobs that stand so; may be repeated."),
]
JobNameOption = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only jobs of this name.")]
TagsOption = Annotated[str, typer.Option("--pattern", help="Tags, as in 'job.*'.")]
CauseOption = Annotated[
    str | None,
    typer.Option(
        "--cause",
        metavar="WHAT",
        help="Only what this led to: command:ID, job:ID, run:ID, schedule:NAME, or an id.",
    ),
]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="MOMENT", help="Begin behind this position, or instant.")
]
UptoOption = Annotated[
    str | None, typer.Option("--upto", metavar="MOMENT", help="End with this position, or instant.")
]


_SPAN = re.compile(r"([0-9]+)([smhd])")
_UNITS = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})


def spelled(status: str, known: type[StrEnum]) -> str:
    """Return a status as the library spells it, or what was given if it is none."""
    return status.upper() if status.upper() in known.__members__ else status


def statuses_of(given: list[str] | None) -> tuple[str, ...] | None:
    """Return statuses of jobs as the library spells them; None for none."""
    return tuple(spelled(status, JobStatus) for status in given) if given else None


def span_of(text: str) -> timedelta | None:
    """Return a span of time such as `90s` or `7d`; None for what is none. `OverflowError`, `ValueError`: too long."""
    found = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def position(reader: StoreReader, text: str | None) -> int | None:
    """Return the position that a MOMENT means: the last one by an instant."""
    when = moment(text)
    return reader.position_at(when) if isinstance(when, datetime) else when


def moment(text: str | None, *, ahead: bool = False) -> int | datetime | None:
    """Return what a MOMENT means: a position, or an aware datetime; one without a zone is UTC.

    A span of time is so long ago, or with `ahead` so long from now.
    """
    if text is None:
        return None
    try:
        if text.isdecimal():
            return int(text)
        if (span := span_of(text)) is not None:
            return datetime.now(UTC) + (span if ahead else -span)
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        msg = f"expected a position, an instant like 2027-03-28T01:00:00Z, or a span like 2h, got {text!r}"
        raise InputError(msg) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
