"""The line between processes of somebody else's pool and the engine: who has begun, how far it is, who may stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.runtime.effects import AttemptKey
from eventstore.decoding import msgpack_decoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

WELCOME = b"W"
"""What the engine says to a process that has come; from then on it knows of all that the process says."""
GOODBYE = b"G"
"""What it says to a thread of its own process when that is no longer needed."""
NOBODY = (EOFError, OSError, AuthenticationError, msgspec.DecodeError)
LAST_WORD_S = 5.0
"""How long what a dead process has said may take to be read."""
PARENT_S = 1.0
"""How often a process looks whether its parent is still there."""
AGAIN_S = 0.05
"""How long to wait where nobody can be let in."""


class Address(NamedTuple):
    """Where the engine listens, on this machine."""

    place: str
    secret: bytes
    owner: int
    """The engine's process."""
    generation: int
    """The pool that whoever comes belongs to."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Who comes."""

    generation: int
    pid: int


class Said(msgspec.Struct, frozen=True, array_like=True):
    """What a process says of an attempt; empty: it begins."""

    key: AttemptKey
    news: bytes = b""


encode = msgspec.msgpack.Encoder().encode
decode_hello = msgpack_decoder(Hello)
decode_said = msgpack_decoder(Said)
decode_key = msgpack_decoder(AttemptKey)


class Guest:
    """A process of a pool, as the engine knows it; made by the thread that hears what it says."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._reader = threading.current_thread()
        self._lock = threading.Lock()
        self._is_welcome = False

    def listen(self, hear: Callable[[Guest, Said], None], gone: Callable[[Guest], None]) -> None:
        """Hear what it says from now on, until it has gone: then `gone` is called."""
        self._send()
        with contextlib.suppress(EOFError, OSError):
            while True:
                hear(self, decode_said(self._connection.recv_bytes()))
        gone(self)

    def _send(self, *said: bytes) -> None:
        """Say something, which nobody does before the guest was made welcome."""
        with self._lock, contextlib.suppress(OSError):
            for each in said if self._is_welcome else (WELCOME, *said):
                self._connection.send_bytes(each)
            self._is_welcome = True

    def tell_to_stop(self, key: AttemptKey) -> None:
        """Say that nobody waits for an attempt any more, perhaps one of another process."""
        self._send(encode(key))

    def leave(self, *, kill: bool) -> None:
        """See it off, or end its process. If that is this one, as a pool may be made of threads, only the line ends."""
        if self._pid == os.getpid():
            self._send(GOODBYE)
        elif kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def join(self) -> None:
        """Wait until all that a process which is gone has said was heard."""
        self._reader.join(LAST_WORD_S)


class Desk:
    """Where processes of pools come to: the engine's end."""

    def __init__(
        self,
        *,
        greet: Callable[[int, Guest], bool],
        hear: Callable[[Guest, Said], None],
        gone: Callable[[int, Guest], None],
    ) -> None:
        """`greet` is told which pool a guest belongs to, `gone` of which pool one has gone.

        False of `greet` if that pool is over: then the guest is not let in.
        """
        self._greet = greet
        self._hear = hear
        self._gone = gone
        self._secret = os.urandom(32)
        self._listener = Listener(family="AF_UNIX")
        self._closed = threading.Event()
        threading.Thread(target=self._serve, name="logistics-desk", daemon=True).start()

    def address(self, generation: int) -> Address:
        """Return where processes of a pool have to come to."""
        return Address(str(self._listener.address), self._secret, os.getpid(), generation)

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed.set()
        with contextlib.suppress(OSError):
            Client(self._listener.address, family="AF_UNIX").close()  # wakes whoever waits for the next guest
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection = self._listener.accept()
                threading.Thread(
                    target=self._let_in, args=(connection,), name="logistics-guest", daemon=True
                ).start()
            except (OSError, RuntimeError):  # too many files or threads: whoever comes waits at the door
                self._closed.wait(AGAIN_S)

    def _let_in(self, connection: Connection) -> None:
        """Hear what somebody says, once it has shown who it is: it may be stopped meanwhile, and others come."""
        try:
            deliver_challenge(connection, self._secret)
            answer_challenge(connection, self._secret)
            hello = decode_hello(connection.recv_bytes())
        except NOBODY:  # whoever came is gone again, or is not one of ours
            connection.close()
            return
        guest = Guest(connection, hello.pid)
        if self._greet(hello.generation, guest):
            guest.listen(self._hear, partial(self._gone, hello.generation))
        else:
            connection.close()


def end_with(parent: int) -> None:
    """Have this process end when its parent has, although nothing was asked of it yet (F75): who starts it calls this.

    A worker that has a `Line` sees it at once. One without might wait for ever, as its siblings keep its queue open.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, name="logistics-parent", daemon=True).start()


class Line:
    """The process's end. A process whose engine is gone ends at once, whatever it does (F75)."""

    def __init__(self, address: Address) -> None:
        self._lock = threading.Lock()
        self._stopped: set[AttemptKey] = set()
        self._is_a_thread = address.owner == os.getpid()
        try:
            self._connection = Client(address.place, family="AF_UNIX", authkey=address.secret)
            self._connection.send_bytes(encode(Hello(address.generation, os.getpid())))
            self._connection.recv_bytes()
        except (EOFError, OSError):
            self._leave()
            raise
        threading.Thread(target=self._listen, name="logistics-line", daemon=True).start()

    def say(self, key: AttemptKey, news: bytes = b"") -> None:
        """Say something of an attempt; nothing: that it begins."""
        with self._lock, contextlib.suppress(OSError):  # whom nobody listens to any more may go on
            self._connection.send_bytes(encode(Said(key, news)))

    def is_stopped(self, key: AttemptKey) -> bool:
        """Whether nobody waits for an attempt any more."""
        return key in self._stopped

    def _listen(self) -> None:
        try:
            while (said := self._connection.recv_bytes()) != GOODBYE:
                self._stopped.add(decode_key(said))
        except (EOFError, OSError):
            self._leave()
        self._connection.close()

    def _leave(self) -> None:
        if not self._is_a_thread:
            os._exit(1)
