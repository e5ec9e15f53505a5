"""Whose a job is: the session that it is a task of, and the project that it is recorded under."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from actors.queue.specs import SHARE
from logistics.task.job import NO_TERMS

if TYPE_CHECKING:
    from actors.queue.specs import Terms


class Place(NamedTuple):
    """A session and a project; empty for none."""

    session_id: str = ""
    project: str = ""

    def terms(self, terms: Terms | None) -> Terms | None:
        """Return the terms of a job that is here."""
        if not any(self):
            return terms
        terms = terms or NO_TERMS
        share = ((f"{SHARE}{self.session_id}", 1.0),) if self.session_id else ()
        return replace(terms, resources=(*terms.resources, *share), project=self.project)


NOWHERE = Place()


def place_of(terms: Terms | None) -> Place:
    """Return where the job of these terms is."""
    terms = terms or NO_TERMS
    sessions = (name.removeprefix(SHARE) for name, _ in terms.resources if name.startswith(SHARE))
    return Place(next(sessions, ""), terms.project)
