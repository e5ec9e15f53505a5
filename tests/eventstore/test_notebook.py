"""Notebooks: all of a change or nothing, in the order of keys, over restarts, however much there is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventstore import notebook as notebook_module
from eventstore.errors import OutcomeUnknownError, StoreClosedError
from eventstore.notebook import FIRST_SIZE, LmdbNotebook, MemoryNotebook, Notebook, Notes
from tests.eventstore.test_denied_calls import CALLS
from tests.support.denied import deny

Open = Callable[[], Notebook]


@pytest.fixture(params=["lmdb", "memory"])
def notebook(request: pytest.FixtureRequest, tmp_path: Path) -> Notebook:
    return LmdbNotebook(tmp_path / "notes") if request.param == "lmdb" else MemoryNotebook()


def filled(notes: Notes) -> None:
    for key in (b"b2", b"a", b"b1", b"c"):
        notes.put(key, key.upper())


def test_what_is_noted_is_found_by_key_and_by_what_keys_begin_with(notebook: Notebook) -> None:
    notebook.write(filled)
    assert notebook.read(lambda notes: notes.get(b"b1")) == b"B1"
    assert notebook.read(lambda notes: notes.get(b"b")) is None
    assert notebook.read(lambda notes: list(notes.items(b"b"))) == [(b"b1", b"B1"), (b"b2", b"B2")]
    notebook.write(lambda notes: notes.delete(b"b1"))
    notebook.write(lambda notes: notes.delete(b"never there"))
    assert notebook.read(lambda notes: [key for key, _ in notes.items(b"")]) == [b"a", b"b2", b"c"]


def test_a_change_that_raises_changes_nothing_and_sees_its_own_notes_until_then(notebook: Notebook) -> None:
    notebook.write(filled)

    def change(notes: Notes) -> None:
        notes.put(b"a", b"other")
        notes.put(b"d", b"new")
        notes.delete(b"c")
        assert [key for key, _ in notes.items(b"")] == [b"a", b"b1", b"b2", b"d"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        notebook.write(change)
    assert notebook.read(lambda notes: notes.get(b"a")) == b"A"
    assert notebook.read(lambda notes: [key for key, _ in notes.items(b"")]) == [b"a", b"b1", b"b2", b"c"]


@pytest.mark.parametrize("kind", CALLS)
def test_f26_a_commit_that_the_kernel_refuses_is_got_over(tmp_path: Path, kind: str) -> None:
    """The engine refused everything from then on: whoever follows the log stood still until the next start."""
    call, size = CALLS[kind]
    notebook = LmdbNotebook(tmp_path / "notes")
    notebook.write(filled)

    def commits_fail() -> None:
        deny(call, errno.EIO, size=size)
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError):
                notebook.write(lambda notes: notes.put(b"a", bytes(10_000)))
            assert notebook.read(lambda notes: notes.get(b"c")) == b"C"

    with ThreadPoolExecutor(1) as bad_disk:
        bad_disk.submit(commits_fail).result()
    notebook.write(lambda notes: notes.put(b"a", b"again"))
    assert notebook.read(lambda notes: notes.get(b"a")) == b"again"
    assert notebook.read(lambda notes: notes.get(b"b1")) == b"B1"


def test_the_names_of_its_files_are_durable_before_something_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(notebook_module, "sync_folder", synced.append)
    LmdbNotebook(tmp_path / "notes").close()
    assert synced == [tmp_path / "notes", tmp_path]


def test_notes_outlive_the_notebook_and_grow_beyond_its_first_size(tmp_path: Path) -> None:
    notebook = LmdbNotebook(tmp_path / "notes")
    piece = bytes(1 << 20)

    def much(notes: Notes) -> None:
        for number in range(FIRST_SIZE // len(piece) + 4):
            notes.put(b"%03d" % number, piece)

    notebook.write(much)
    notebook.close()
    notebook.close()
    with pytest.raises(StoreClosedError):
        notebook.read(lambda notes: notes.get(b"000"))
    again = LmdbNotebook(tmp_path / "notes")
    assert len(again.read(lambda notes: list(notes.items(b"")))) == FIRST_SIZE // len(piece) + 4
    again.close()
