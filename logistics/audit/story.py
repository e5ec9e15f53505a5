"""What something led to: the events that come of a command, a job, a run or a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventstore.records import Record

ATTEMPT = "attempt:"


class Story:
    """Tells of each event whether it belongs; is shown all of them, in the order of the log.

    What a command or an attempt began, comes of it; so does all that the engine does with it from then on, and with
    what has it at the root of its story. What another command does to it comes of that one.
    """

    def __init__(
        self,
        roots: Iterable[str],
        first_of: Callable[[str], int],
        named_by: Callable[[Record], Iterable[str]],
    ) -> None:
        """`first_of`: the position of the first event of an entity; `named_by`: whom an event has begin, in words."""
        self._led = set(roots)
        self._first_of = first_of
        self._named_by = named_by

    def takes(self, record: Record, position: int) -> bool:
        """Whether this event belongs."""
        if ":" in record.cause:  # somebody's: the engine's own parts have names, and ids have kinds
            belongs = record.cause in self._led or _job_of(record.cause) in self._led
        else:
            belongs = record.correlation in self._led or any(
                each in self._led for each in _within(record.entity)
            )
        if belongs and record.entity not in self._led:
            if self._first_of(record.entity) == position:
                self._led.add(record.entity)
            self._led.update(self._named_by(record))
        return belongs


def _within(entity: str) -> Iterator[str]:
    """Yield an entity, and the runs of whose steps it is one: their ids are the beginning of its own."""
    yield entity
    while entity.startswith("run:") and "." in entity:
        entity = entity.rpartition(".")[0]
        yield entity


def _job_of(cause: str) -> str:
    """Return the job whose attempt is meant; empty for what is none."""
    if not cause.startswith(ATTEMPT):
        return ""
    return "job:" + cause.removeprefix(ATTEMPT).rpartition("/")[0]
