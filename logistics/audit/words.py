"""What an answer to "why" is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Reason(NamedTuple):
    """One thing that holds something back, or what became of it."""

    code: str
    """For programs; the guide page `why.md` lists all of them."""
    text: str
    """For people."""
    name: str = ""
    """Of which queue, key, function, resource or step."""
    by: tuple[str, ...] = ()
    """Whose doing it is: jobs, runs, commands, the first few of them."""
    since: datetime | None = None
    until: datetime | None = None
    """When it is over by itself; None: not by itself, or nobody knows."""


class Why(NamedTuple):
    """Why something is where it is; as text, line by line."""

    subject: str
    """`job:ID`, `run:ID` or `schedule:NAME`."""
    status: str
    reasons: tuple[Reason, ...]
    """Never empty."""

    def __str__(self) -> str:
        return "\n".join((f"{self.subject} is {self.status}", *(f"- {each.text}" for each in self.reasons)))


def instant(moment: datetime) -> str:
    """Return an instant as text, in UTC."""
    whole = "seconds" if not moment.microsecond else "milliseconds"
    return moment.astimezone(UTC).isoformat(timespec=whole).replace("+00:00", "Z")


def listed(names: Iterable[str]) -> str:
    """Return names, one after the other."""
    return ", ".join(names)
