"""Signed checkpoints: who holds one, and the public key, can prove that nothing before it was changed.

The chain of links alone shows damage and careless edits; whoever rewrites all of it makes a chain that fits. A
checkpoint is the end of the chain at one moment, signed with a key that the one who writes the store need not have.
"""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.runtime.errors import InputError
from eventstore.decoding import json_decoder
from eventstore.files import remove_file, sync_folder
from logistics.inputs import as_datetime

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519 as algorithm
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "cryptography":
        raise
    ed25519: Any = None
else:
    ed25519 = algorithm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventstore.records import Head

PREFIX: Final = b"logistics checkpoint 1\n"
"""What a signature covers begins with this, so that it can be of nothing else."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The end of a log at one moment, signed."""

    store_id: str
    position: int
    link: str
    """Of the frame that ended there: SHA-256 over it and, by its link, over everything before it; hexadecimal."""
    recorded_us: int
    """When that frame was recorded, µs UTC."""
    signed_us: int
    """When it was signed, by the clock of whoever did, µs UTC."""
    key: str
    """The public key, raw, in hexadecimal digits."""
    signature: str = ""
    """Ed25519, in base64."""

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is of: a line for each field but itself."""
        fields = (self.store_id, self.position, self.link, self.recorded_us, self.signed_us, self.key)
        return PREFIX + "".join(f"{field}\n" for field in fields).encode()


_CHECKPOINT: Final = json_decoder(Checkpoint)


def create_key(path: Path) -> Path:
    """Make a private key in a new file of mode 0600, and the public key beside it; return the path of that.

    Both are on disk, synced, when this returns. `InputError`, and nothing is made, if there is something already, or
    they cannot be written.
    """
    _check_installed()
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    beside = path.with_name(f"{path.name}.pub")
    made: list[Path] = []
    file = path
    try:
        for file, content, mode in ((path, secret, 0o600), (beside, public, 0o644)):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            made.append(file)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        for each in made:  # a half of a pair would be in the way of the next try
            remove_file(each)
        msg = f"{file}: {error.strerror}"
        raise InputError(msg) from error
    return beside


def sign(store_id: str, head: Head, key: Path) -> Checkpoint:
    """Return a checkpoint of the end of a log. `InputError` for an empty log, or a file that is no such key."""
    if not head.position:
        msg = "there is nothing to sign: the log is empty"
        raise InputError(msg)
    private = _loaded(key, "private")
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    public = private.public_key().public_bytes_raw().hex()
    bare = Checkpoint(store_id, head.position, head.link.hex(), head.recorded_us, now_us, public)
    signature = base64.b64encode(private.sign(bare.signed_bytes)).decode()
    return msgspec.structs.replace(bare, signature=signature)


def read_checkpoints(lines: Iterable[bytes], key: Path) -> list[Checkpoint]:
    """Return checkpoints, a line of JSON each, once their signatures are found right.

    `InputError` for what is no checkpoint, and for one that was not signed with the key of this public key.
    """
    public = _loaded(key, "public")
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            checkpoint = _CHECKPOINT(line)
            public.verify(base64.b64decode(checkpoint.signature, validate=True), checkpoint.signed_bytes)
        except (ValueError, RecursionError) as error:
            msg = f"line {number}: not a checkpoint: {error}"
            raise InputError(msg) from error
        except InvalidSignature:
            msg = f"line {number}: this checkpoint was not signed with the key of {key}, or was changed since"
            raise InputError(msg) from None
        found.append(checkpoint)
    if not found:
        msg = "there is no checkpoint in the file"
        raise InputError(msg)
    return found


def broken(checkpoints: Iterable[Checkpoint], links: Mapping[int, bytes], store_id: str) -> str:
    """Say what of a log is not as it was signed; empty if all is. `links` are those of its frames, by their end.

    What was imported or salvaged is a store of another id with the same history: that alone is nothing wrong.

    The first of `links` is that which the log begins with. A checkpoint before it, of a log that was compacted, is
    left out: those behind it stand for the same history.
    """
    begin = min(links, default=0)
    left = sorted((each for each in checkpoints if each.position >= begin), key=lambda each: each.position)
    if not left:
        return f"all of the checkpoints are from before position {begin}, up to which the log was compacted"
    for checkpoint in left:
        when = as_datetime(checkpoint.signed_us).isoformat(timespec="seconds")
        link = links.get(checkpoint.position)
        if link is None:
            problem = f"no frame ends at position {checkpoint.position}, which was signed at {when}"
        elif link.hex() != checkpoint.link:
            problem = (
                f"something up to position {checkpoint.position} was changed since it was signed at {when}"
            )
        else:
            continue
        if checkpoint.store_id == store_id:
            return problem
        return (
            f"{problem}, or this is another store: it was signed of {checkpoint.store_id}, this is {store_id}"
        )
    return ""


def _loaded(path: Path, kind: str) -> Any:
    """Return the key in a file. `InputError`."""
    _check_installed()
    try:
        content = path.read_bytes()
        key: Any = (
            serialization.load_pem_private_key(content, password=None)
            if kind == "private"
            else serialization.load_pem_public_key(content)
        )
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise InputError(msg) from error
    except (ValueError, TypeError) as error:
        msg = f"{path} is not a {kind} key: {error}"
        raise InputError(msg) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey if kind == "private" else ed25519.Ed25519PublicKey):
        msg = f"{path} is not an Ed25519 key"
        raise InputError(msg)
    return key


def _check_installed() -> None:
    if ed25519 is None:
        msg = "checkpoints need the package cryptography: pip install 'logistics[sign]'"
        raise InputError(msg)
