"""Sealing what is said of a subject with the subject's key, opening it again, and destroying the key."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.runtime.errors import BusyError, ErasedError, InputError
from actors.runtime.events import SubjectErased
from actors.runtime.later import Later
from actors.runtime.seals import MAGIC, erased_mark, key_in, secret_in, with_texts, wrapped, wrapped_text
from eventstore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography import exceptions
    from cryptography.hazmat.primitives.ciphers import aead

    from actors.runtime.effects import AttemptFinished
    from actors.runtime.engine import Runtime
    from actors.runtime.messages import Event
    from eventstore.keyring import KeyRing
else:
    aead = Later("cryptography.hazmat.primitives.ciphers.aead")
    exceptions = Later("cryptography.exceptions")

SUBJECT: Final = "subject:"
"""What the entity of an erasure begins with; the id of the key follows."""


class Vault:
    """The keys of a store's subjects, and what is done with them. Safe for threads.

    Sealing the same twice gives the same bytes (AES-SIV), so that a repeated command is still the same one.
    """

    def __init__(self, ring: KeyRing, erased: Callable[[], Iterable[str]]) -> None:
        """Use a ring; `erased` reads the entities of all erasures on record."""
        self._ring = ring
        self._read_erased = erased
        self._erased: set[str] | None = None
        self._ciphers: dict[str, Any] = {}
        self._closing: set[str] = set()
        self._lock = threading.RLock()
        self._erasing = threading.Lock()

    @property
    def keys(self) -> KeyRing:
        """The keys."""
        return self._ring

    # -- sealing -------------------------------------------------------------------------------------------

    def key_for(self, subject: str) -> str:
        """Return the id of a subject's key, made if need be. `InputError` while the subject is being erased."""
        _aes_siv()  # before there is a key that nobody could use
        key = self._ring.make(subject)
        if key in self._closing:
            msg = "subject: it is being erased just now; nothing of it is taken on"
            raise InputError(msg)
        return key

    def seal(self, data: bytes, key: str) -> bytes:
        """Return a value sealed with a key. `ErasedError` if that is gone."""
        return wrapped(key, self._cipher(key).encrypt(data, [MAGIC]))

    def seal_text(self, text: str, key: str) -> str:
        """Return a text sealed; an empty one stays so."""
        return wrapped_text(self.seal(text.encode(), key)) if text else ""

    def seal_error(self, text: str, key: str) -> str:
        """Return the text of an error sealed, but for the exception's name before the colon."""
        name, colon, rest = text.partition(": ")
        return (
            f"{name}: {self.seal_text(rest, key)}"
            if colon and name.isidentifier()
            else self.seal_text(text, key)
        )

    def seal_end(self, end: AttemptFinished, key: str) -> AttemptFinished:
        """Return the end of an attempt with all that the function said sealed."""
        return msgspec.structs.replace(
            end,
            result=self.seal(end.result, key) if end.result else b"",
            error=self.seal_error(end.error, key),
            traceback=self.seal_text(end.traceback, key),
            output=self.seal_text(end.output, key),
        )

    def salt(self, key: str) -> bytes:
        """Return what only the holder of a key knows: it goes into fingerprints of what is sealed."""
        return bytes(self._cipher(key).encrypt(b"salt", [MAGIC, b"salt"]))

    def _cipher(self, key: str) -> Any:
        cipher = self._ciphers.get(key)
        if cipher is None:
            with self._lock:
                secret = self._ring.get(key)
                if secret is None:
                    raise self._missing(key)
                cipher = self._ciphers[key] = _aes_siv()(secret)
        return cipher

    def _missing(self, key: str) -> ErasedError:
        if self.is_erased(key):
            return ErasedError(f"what is needed was of a subject that has been erased (key {key})")
        return ErasedError(
            f"what is needed is sealed with key {key}, which is not here: put the file of keys back"
        )

    # -- opening -------------------------------------------------------------------------------------------

    def open(self, data: bytes) -> bytes:
        """Return a value that may be sealed, opened. `ErasedError` if it cannot be any more."""
        key = key_in(data)
        if not key:
            return data
        try:
            return bytes(self._cipher(key).decrypt(secret_in(data), [MAGIC]))
        except (exceptions.InvalidTag, ValueError) as error:
            raise ErasedError(f"what was sealed with key {key} was changed since") from error

    def show(self, data: bytes) -> bytes:
        """Return a value opened; what cannot be is decoded to a mark, `Erased` or `Sealed`. Never raises."""
        key = key_in(data)
        if not key:
            return data
        try:
            return self.open(data)
        except (ErasedError, InputError):
            return erased_mark(key) if self.is_erased(key) else data

    def show_text(self, text: str) -> str:
        """Return a text in which what is sealed is opened, or a mark."""
        return with_texts(text, self._text_of)

    def _text_of(self, sealed: bytes) -> str:
        try:
            return self.open(sealed).decode()
        except (ErasedError, InputError):
            key = key_in(sealed)
            return f"⟦{'erased' if self.is_erased(key) else 'sealed'}: key {key[:8]}⟧"

    def shown(self, event: Event) -> Event:
        """Return an event with all that is sealed in it opened, or a mark."""
        shown: Event = self._shown(event)
        return shown

    def _shown(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self.show(value)
        if isinstance(value, str):
            return self.show_text(value)
        if type(value) is tuple:
            return tuple(map(self._shown, value))
        if isinstance(value, msgspec.Struct):
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            return msgspec.structs.replace(
                value, **{name: self._shown(each) for name, each in fields.items()}
            )
        return value

    # -- erasing -------------------------------------------------------------------------------------------

    def is_erased(self, key: str) -> bool:
        """Whether the subject of a key was erased."""
        if key in self._ring.destroyed:
            return True
        if self._erased is None:
            try:
                self._erased = {entity.removeprefix(SUBJECT) for entity in self._read_erased()}
            except StoreError:
                return False  # not known for now; it is asked again
        return key in self._erased

    @contextmanager
    def alone(self, limit_s: float | None) -> Iterator[None]:
        """Erase while nobody else does. `BusyError` if somebody else does for longer than this."""
        if not self._erasing.acquire(timeout=-1 if limit_s is None else min(limit_s, threading.TIMEOUT_MAX)):
            msg = "another erasure goes on; nothing was erased, try again in a moment"
            raise BusyError(msg)
        try:
            yield
        finally:
            self._erasing.release()

    @contextmanager
    def closing(self, key: str) -> Iterator[None]:
        """Take nothing more on that is to be sealed with a key."""
        self._closing.add(key)
        try:
            yield
        finally:
            self._closing.discard(key)

    def destroy(self, runtime: Runtime, key: str, *, by: str) -> None:
        """Destroy a key, then put that on record. After a crash in between, the next opening does."""
        with self._lock:
            self._ring.destroy(key, at_us=runtime.clock.now_us(), by=by)
            self._ciphers.pop(key, None)
        self.settle(runtime)

    def settle(self, runtime: Runtime) -> None:
        """Put on record what was destroyed, and destroy again what is on record: the keys may be an older copy."""
        if not len(self._ring) and not self._ring.destroyed:
            return
        on_record = {entity.removeprefix(SUBJECT) for entity in self._read_erased()}
        for key, at_us, by in list(self._ring.destroyed.values()):
            if key not in on_record:
                _record(runtime, SubjectErased(key, at_us, by))
                on_record.add(key)
            self._ring.forget(key)
        for key in on_record.intersection(self._ring):
            self._ring.forget(key)
        self._erased = on_record


PATIENCE_S: Final = 5.0


def _record(runtime: Runtime, event: Event) -> None:
    with runtime.journal.alone(PATIENCE_S) as can_write:
        if not can_write:
            msg = "the key is destroyed; that will be put on record when the store is opened next"
            raise StoreError(msg)
        runtime.record(event)


def _aes_siv() -> Any:
    try:
        return aead.AESSIV
    except ModuleNotFoundError as error:
        msg = "subjects need the package cryptography: pip install 'logistics[sign]'"
        raise InputError(msg) from error
