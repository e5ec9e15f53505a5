"""A handle on an open store, as the other classes of the façade use it: asking its actors, reading its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.messages import FunctionsKnown
from actors.runtime.attempt import blocking, cause_here
from actors.runtime.errors import EngineClosedError
from actors.runtime.loop import refuse_on_loop
from actors.runtime.patience import patiently
from eventstore.errors import StoreError
from logistics.errors import WaitTimeoutError
from logistics.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.functions import FunctionRegistry
    from actors.runtime.messages import Event, Message
    from actors.runtime.reply import Reply
    from logistics.orchestration.stores import Store

COMMAND_TIMEOUT_S = 300.0
"""How long a command waits for its answer before it gives up; it may still be carried out."""


class Handle:
    """What an `OrchestrationEngine` is to other classes."""

    _store: Store
    _closed: bool

    @property
    def path(self) -> str:
        """The store's folder, or `":memory:"`."""
        return self._store.path

    @property
    def closed(self) -> bool:
        """Whether this handle was closed."""
        return self._closed

    @property
    def store(self) -> Store:
        """The open store behind this handle."""
        self._check_open()
        return self._store

    def _check_open(self) -> None:
        if self._closed:
            msg = "this engine was closed; make a new one"
            raise EngineClosedError(msg)
        self._store.runtime.check_here()

    @property
    def functions(self) -> FunctionRegistry:
        """Where functions are registered and found."""
        return self._store.functions

    def register(self, func: Callable[..., Any]) -> str:
        """Return the reference by which a function is stored; `FunctionError` if it cannot be.

        Jobs that wait for this function go on: one of an earlier process may be due before its script has
        defined the function again.
        """
        functions = self._store.functions
        ref = functions.known(func)
        if ref is None:
            ref = functions.register(func)
            self.store.runtime.send("queue", FunctionsKnown(functions=(ref,)))
        return ref

    @property
    def max_payload(self) -> int:
        """Largest size of arguments or of a result, in bytes."""
        return int(self._store.options["max_payload"])

    def ask(self, actor: str, message: Message) -> Any:
        """Send a message that is known to be well-formed to an actor and wait for its durable answer."""
        return self.answer(self.tell(actor, message))

    def tell(self, actor: str, message: Message, command_id: str | None = None) -> Reply:
        """Send a message that is known to be well-formed to an actor; return what its answer comes in.

        Its cause is the attempt that sends it, if it has no id of its own.
        """
        runtime = self.store.runtime
        attempt = "" if command_id else cause_here(runtime)
        return runtime.send(actor, message, cause=attempt or f"command:{command_id or new_id()}")

    @staticmethod
    def answer(reply: Reply) -> Any:
        """Wait for the answer to a command."""
        try:
            return reply.get(COMMAND_TIMEOUT_S)
        except TimeoutError as error:
            if not reply.done:
                msg = f"no answer in {COMMAND_TIMEOUT_S:.0f} s; the command may still be carried out"
                raise WaitTimeoutError(msg) from error
            raise

    def query(self, actor: str, message: Message) -> Any:
        """Ask what changes nothing; asked again while the store cannot be written."""
        return patiently(lambda: self.ask(actor, message), StoreError)

    def history(self, entity: str) -> list[tuple[int, Event]]:
        """Return positions and events of one entity, oldest first, as far as they are durable.

        What is sealed in them is opened, or a mark: none of it is to be put on record again.
        """
        runtime = self.store.runtime
        past = patiently(lambda: runtime.log.history(entity, upto=runtime.journal.watermark))
        return [(stored.position, runtime.read(stored.record)) for stored in past]

    def watch(self, entity: str) -> Reply:
        """Return a reply that gets the next final event of an entity."""
        return self.store.runtime.watch.final(entity)

    def unwatch(self, entity: str, reply: Reply) -> None:
        """Give up a `watch`."""
        self._store.runtime.watch.forget(entity, reply)

    def wait(self, reply: Reply, timeout_s: float | None) -> Any:
        """Wait for a watched reply; on one of our own workers, only if another worker is left."""
        if reply.done:
            return reply.get(timeout_s)
        refuse_on_loop()
        with blocking(self.store.runtime):
            return reply.get(timeout_s)
