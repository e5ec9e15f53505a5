"""Signed checkpoints: a history that was rewritten as a whole passes every other check, and not this one."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.runtime.errors import InputError
from eventstore.lmdb_log import LmdbLog
from eventstore.records import EMPTY, Record
from eventstore.retention import Compaction, Horizon
from logistics.audit import signing
from logistics.audit.signing import Checkpoint, broken, create_key, read_checkpoints, sign
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.audit import functions


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signing") / "store"
    with OrchestrationEngine(path) as engine:
        for number in range(5):
            Queue("payments", engine=engine).enqueue(Job("pay", functions.one, job_id=f"to-alice-{number}"))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    create_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def signed(store: Path, key: Path) -> Path:
    """A file with a checkpoint of the store, made by the command."""
    file = key.with_name("checkpoints")
    assert main(["checkpoint", "--key", str(key), "--output", str(file), "--store", str(store)]) == 0
    return file


Verified = Callable[..., dict[str, Any]]


@pytest.fixture
def verified(signed: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> Verified:
    def run(*arguments: str, code: int) -> dict[str, Any]:
        held = ["--checkpoints", str(signed), "--public-key", f"{key}.pub"]
        assert main(["verify", "--json", *held, *arguments]) == code
        facts: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return facts

    return run


def rewritten(store: Path, target: Path) -> Path:
    """Make a store that tells another story, with a chain that fits: what the owner of a store can always do."""
    with LmdbLog.open(store, read_only=True) as log, LmdbLog.open(target) as other:
        for frame in log.frames():
            records = [
                Record(
                    record.entity.replace("alice", "mally"),
                    record.version,
                    record.cause,
                    record.correlation,
                    record.payload.replace(b"alice", b"mally"),
                )
                for record in frame.records
            ]
            expected, when = other.head.position, frame.recorded_us
            other.append(records, expected=expected, epoch=frame.epoch, recorded_us=when)
    return target


def store_id(path: Path) -> str:
    with LmdbLog.open(path, read_only=True) as log:
        return log.store_id


def test_a_history_rewritten_as_a_whole_is_caught_by_a_checkpoint_only(
    store: Path, tmp_path: Path, verified: Verified
) -> None:
    other = rewritten(store, tmp_path / "other")
    assert main(["verify", "--deep", "--store", str(other)]) == 0
    assert main(["doctor", "--store", str(other)]) == 0
    facts = verified("--store", str(other), code=1)
    assert "was changed since it was signed at" in facts["problem"]
    assert (
        f"or this is another store: it was signed of {store_id(store)}, this is {store_id(other)}"
        in facts["problem"]
    )
    assert verified("--store", str(store), code=0)["problem"] == ""


def test_an_export_is_held_against_checkpoints_without_the_store(
    store: Path, tmp_path: Path, verified: Verified
) -> None:
    exports = {}
    for name, source in (("true", store), ("false", rewritten(store, tmp_path / "other"))):
        exports[name] = tmp_path / name
        assert main(["export", "--output", str(exports[name]), "--store", str(source)]) == 0
        assert main(["verify", "--export", str(exports[name])]) == 0
    facts = verified("--export", str(exports["true"]), code=0)
    assert facts["unchanged_upto"] == facts["position"]
    assert facts["recorded_until"] <= facts["since"]
    told = verified("--export", str(exports["false"]), code=1)["problem"]
    assert told.endswith(f"this is {store_id(tmp_path / 'other')}")


def test_a_part_is_not_said_to_be_changed_but_to_be_a_part(
    store: Path, tmp_path: Path, signed: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, part = str(tmp_path / "lines"), str(tmp_path / "part")
    of = ["--of", "job:to-alice-3", "--store", str(store)]
    assert main(["export", "--output", lines, *of]) == 0
    assert main(["import", lines, "--store", part]) == 0
    held = ["--checkpoints", str(signed), "--public-key", f"{key}.pub"]
    for command in (
        ["verify", "--export", lines, *held],
        ["verify", "--store", part, *held],
        ["checkpoint", "--key", str(key), "--store", part],
    ):
        capsys.readouterr()
        assert main(command) == 2
        assert "this is a part of one, which has another chain: of job:to-alice-3" in capsys.readouterr().err
    assert main(["verify", "--store", part, "--json"]) == 0
    assert "is not proven" in json.loads(capsys.readouterr().out)["note"]


def test_a_log_that_went_on_is_still_what_was_signed(store: Path, tmp_path: Path, verified: Verified) -> None:
    assert main(["backup", str(tmp_path / "copy"), "--store", str(store)]) == 0
    with OrchestrationEngine(tmp_path / "copy") as engine:
        Queue("payments", engine=engine).enqueue(Job("pay", functions.one))
    facts = verified("--store", str(tmp_path / "copy"), code=0)
    assert facts["unchanged_upto"] < facts["position"]


def test_a_log_that_is_shorter_than_what_was_signed_is_not_it(
    store: Path, tmp_path: Path, verified: Verified
) -> None:
    with LmdbLog.open(store, read_only=True) as log, LmdbLog.open(tmp_path / "shorter") as other:
        for frame in list(log.frames())[:-1]:
            expected, when = other.head.position, frame.recorded_us
            other.append(frame.records, expected=expected, epoch=frame.epoch, recorded_us=when)
    assert "no frame ends at position" in verified("--store", str(tmp_path / "shorter"), code=1)["problem"]


def test_no_field_of_a_checkpoint_can_be_changed(signed: Path, key: Path) -> None:
    public, whole = key.with_name("key.pub"), json.loads(signed.read_bytes())
    assert read_checkpoints([signed.read_bytes()], public)[0].position == whole["position"]
    for name, value in whole.items():
        other: object
        if name == "signature":
            other = base64.b64encode(bytes(64)).decode()
        else:
            other = value + 1 if isinstance(value, int) else value + "0"
        with pytest.raises(InputError, match=r"line 1: (this checkpoint was not signed|not a checkpoint)"):
            read_checkpoints([json.dumps(whole | {name: other}).encode()], public)


def test_what_a_signature_is_of_is_written_down(signed: Path) -> None:
    """It is a promise: an auditor's own program may check it."""
    one = msgspec.json.decode(signed.read_bytes(), type=Checkpoint)
    lines = one.signed_bytes.decode().splitlines()
    assert lines == [
        "logistics checkpoint 1",
        one.store_id,
        str(one.position),
        one.link,
        str(one.recorded_us),
        str(one.signed_us),
        one.key,
    ]


def test_the_key_of_somebody_else_is_not_believed(signed: Path, tmp_path: Path) -> None:
    other = create_key(tmp_path / "other")
    with pytest.raises(InputError, match="was not signed with the key"):
        read_checkpoints([signed.read_bytes()], other)


def test_several_checkpoints_are_all_looked_at(store: Path, key: Path) -> None:
    with LmdbLog.open(store, read_only=True) as log:
        frames = list(log.frames())
    links = {frame.last: frame.link for frame in frames}
    all_signed = [sign("store", frame.head, key) for frame in frames]
    assert broken(all_signed, links, "store") == broken(all_signed, links, "imported") == ""
    said = broken(all_signed, links | {frames[1].last: b"x"}, "store")
    assert said.startswith(f"something up to position {frames[1].last} was changed")
    assert "another store" not in said


def test_a_compacted_log_is_held_against_the_checkpoints_that_it_still_can_be(
    store: Path, key: Path, tmp_path: Path, verified: Verified, signed: Path
) -> None:
    whole = read_checkpoints([signed.read_bytes()], Path(f"{key}.pub"))
    assert main(["backup", str(tmp_path / "copy"), "--store", str(store)]) == 0
    with LmdbLog.open(tmp_path / "copy") as log:
        heads = [frame.head for frame in log.frames()]
        signed.write_bytes(b"\n".join(msgspec.json.encode(sign("", head, key)) for head in heads))
        log.compact(Compaction(Horizon(heads[3], ""), [], {}, log.head.position))
    facts = verified("--store", str(tmp_path / "copy"), code=0)
    assert facts["unchanged_upto"] == whole[0].position
    signed.write_bytes(msgspec.json.encode(sign("", heads[2], key)))
    facts = verified("--store", str(tmp_path / "copy"), code=1)
    assert f"before position {heads[3].position}, up to which the log was compacted" in facts["problem"]
    signed.write_bytes(msgspec.json.encode(sign("", heads[3]._replace(link=bytes(32)), key)))
    assert "was changed" in verified("--store", str(tmp_path / "copy"), code=1)["problem"]


def test_a_private_key_is_private_and_never_written_over(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="File exists"):
        create_key(key)


def test_a_new_key_is_on_disk_before_anything_is_signed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    create_key(tmp_path / "new")
    assert synced == [each.stat().st_ino for each in (tmp_path / "new", tmp_path / "new.pub", tmp_path)]


def test_of_a_key_that_the_disk_refuses_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(InputError, match="new: Input/output error"):
            create_key(tmp_path / "new")
    (tmp_path / "new.pub").touch()
    with pytest.raises(InputError, match=r"new\.pub: File exists"):
        create_key(tmp_path / "new")
    assert [each.name for each in tmp_path.iterdir()] == ["new.pub"]


def test_a_key_can_be_made_with_the_first_checkpoint(store: Path, tmp_path: Path) -> None:
    arguments = ["checkpoint", "--key", str(tmp_path / "new"), "--create-key", "--store", str(store)]
    assert main(arguments) == 0
    assert (tmp_path / "new.pub").exists()
    assert main(arguments) == 2


def test_what_is_no_key_or_no_checkpoint_is_told_in_a_line(
    store: Path, key: Path, signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rubbish").write_bytes(b"rubbish")
    (tmp_path / "empty").touch()
    held = ["verify", "--store", str(store), "--checkpoints"]
    for arguments, words in (
        (["checkpoint", "--key", str(tmp_path / "rubbish"), "--store", str(store)], "is not a private key"),
        (["checkpoint", "--key", str(tmp_path / "none"), "--store", str(store)], "No such file"),
        (["checkpoint", "--key", f"{key}.pub", "--store", str(store)], "is not a private key"),
        ([*held, str(signed)], "belong together"),
        ([*held, str(signed), "--public-key", str(key)], "is not a public key"),
        ([*held, str(tmp_path / "rubbish"), "--public-key", f"{key}.pub"], "line 1: not a checkpoint"),
        ([*held, str(tmp_path / "empty"), "--public-key", f"{key}.pub"], "no checkpoint in the file"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(InputError, match="the log is empty"):
        sign("store", EMPTY, key)


def test_without_the_extra_it_says_what_to_install(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "ed25519", None)
    for call in (lambda: create_key(key), lambda: sign("store", EMPTY._replace(position=1), key)):
        with pytest.raises(InputError, match=r"pip install 'logistics\[sign\]'"):
            call()
