"""Addresses of the actors by name: published all at once, so that nobody ever meets half an engine (R17)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pykka import ActorDeadError

from actors.runtime.mailbox import refuse
from actors.runtime.messages import Letter, Resume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pykka import ActorRef


class Directory:
    """Where letters are posted. An actor is known by its name only; a rebuilt one has a new address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, ActorRef[Any]] = {}

    def publish(self, refs: Mapping[str, ActorRef[Any]]) -> None:
        """Make new addresses known, `Resume` first in each mailbox, in one step that no letter can overtake."""
        with self._lock:
            for ref in refs.values():
                ref.tell(Letter(Resume()))
            self._refs = dict(refs)

    def withdraw(self) -> None:
        """Forget all addresses: what is posted from now on is refused until the next `publish`."""
        with self._lock:
            self._refs = {}

    def post(self, name: str, *letters: Letter) -> None:
        """Put letters into an actor's mailbox at once; if there is none, whoever waits for them is answered."""
        ref = self._refs.get(name)
        if ref is not None:
            try:
                ref.tell(letters[0] if len(letters) == 1 else letters)
            except ActorDeadError:
                pass
            else:
                return
        for letter in letters:
            refuse(letter)

    def backlog(self, name: str) -> int:
        """Return how many messages wait in an actor's mailbox."""
        ref = self._refs.get(name)
        return 0 if ref is None else len(ref.actor_inbox)  # type: ignore[arg-type]  # ours has a length
