"""What `logistics doctor` says of the file of keys: that it is there, whole, private, and the right one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eventstore.doctor import NOTE, WARNING, WRONG
from eventstore.keyring import KeyRing
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from logistics.audit.doctor import check_keys
from logistics.cli.main import main
from tests.logistics.erasure import functions
from tests.logistics.erasure.functions import CANARY

SLOT = 128


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        for who in ("one", "another"):
            queue.enqueue(Job("greet", functions.greet, (CANARY,), subject=who))
        queue.enqueue(Job("greet", functions.greet, ("sealed1:" + 16 * "x",)))
        JobScheduler(engine=engine).process(queue)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "store")
    return tmp_path / "store"


def said(store: Path, keys: Path | None = None) -> list[tuple[str, str]]:
    return [(each.level, each.text) for each in check_keys(str(store), str(keys or store / "keys"))]


def spoil(keys: Path, place: int) -> None:
    content = bytearray(keys.read_bytes())
    content[place * SLOT + 40] ^= 1
    keys.write_bytes(content)


def test_a_sound_file_of_keys_is_nothing_to_speak_of(store: Path) -> None:
    assert said(store) == []


def test_keys_that_are_not_there_are_missed_by_what_they_sealed(store: Path) -> None:
    keys = store / "keys"
    elsewhere = keys.rename(store.parent / "elsewhere")
    assert said(store) == [
        (WARNING, f"what is sealed with 2 keys cannot be read: they are not in {keys}"),
    ]
    assert said(store, elsewhere) == []


def test_a_store_without_subjects_needs_no_keys(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        Queue(engine=engine).enqueue(Job("greet", functions.greet, ("sealed1:" + 16 * "x",)))
    assert said(tmp_path / "store") == []


def test_a_damaged_key_is_wrong_and_the_others_are_not_missed(store: Path) -> None:
    spoil(store / "keys", 1)
    (wrong, text), (warning, missing) = said(store)
    assert (wrong, text) == (WRONG, "1 keys are damaged: what they sealed cannot be read")
    assert (warning, missing.split(" keys")[0]) == (WARNING, "what is sealed with 1")


def test_a_file_that_is_no_file_of_keys_is_wrong(store: Path) -> None:
    spoil(store / "keys", 0)
    assert said(store) == [(WRONG, f"{store / 'keys'} is no file of keys, or is damaged")]


def test_keys_that_cannot_be_read_are_wrong(store: Path) -> None:
    keys = store / "keys"
    keys.rename(store / "real")
    keys.symlink_to(store / "real")
    ((level, text),) = said(store)
    assert (level, text.partition(":")[0]) == (WRONG, f"the keys {keys} cannot be opened")


def test_keys_that_others_can_get_at_are_a_warning(store: Path) -> None:
    (store / "keys").chmod(0o640)
    assert said(store) == [(WARNING, "others can get at the keys")]


def test_an_erasure_is_no_key_that_is_missing_and_an_older_copy_is_told(store: Path) -> None:
    shutil.copy(store / "keys", store.parent / "older")
    with OrchestrationEngine(store) as engine:
        assert engine.erase("one") is not None
    assert said(store) == []
    older = "1 keys of subjects that were erased are there again: the file is an older copy"
    assert said(store, store.parent / "older") == [(WARNING, older)]


def test_a_key_that_was_destroyed_before_a_crash_is_told(store: Path) -> None:
    ring = KeyRing(store / "keys")
    ring.destroy(ring.find("one"), at_us=1, by="")
    ring.close()
    assert said(store) == [(NOTE, "1 keys are destroyed, which is not on record yet")]


def test_the_command_looks_at_the_keys_where_they_are(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = (store / "keys").rename(store.parent / "elsewhere")
    spoil(elsewhere, 0)
    assert main(["doctor", "--json", "--keys", str(elsewhere), "--store", str(store)]) == 1
    rows = json.loads(capsys.readouterr().out)["findings"]
    assert [(row["check"], row["level"]) for row in rows][-1] == ("keys", WRONG)
    assert main(["doctor", "--json", "--store", str(store)]) == 0
    rows = json.loads(capsys.readouterr().out)["findings"]
    assert (rows[-1]["level"], rows[-1]["remedy"].endswith("`--keys FILE`.")) == (WARNING, True)
