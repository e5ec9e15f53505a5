"""The file of keys: who may write it, and what is said when it cannot be written."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from eventstore.errors import StoreFullError, StoreInUseError
from eventstore.keyring import KeyRing

SLOT = 128


def test_a_file_that_another_process_has_open_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    script = (
        "import sys; from pathlib import Path; from eventstore.keyring import KeyRing;"
        "ring = KeyRing(Path(sys.argv[1])); print(ring.make('other'), flush=True); sys.stdin.read()"
    )
    late = KeyRing(path)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        theirs = child.stdout.readline().strip()
        before = path.read_bytes()
        for refused in (lambda: KeyRing(path), lambda: late.make("mine")):
            with pytest.raises(StoreInUseError, match="in use by another process"):
                refused()
        assert path.read_bytes() == before
        child.stdin.close()
    assert late.make("mine") != theirs
    late.close()
    ring = KeyRing(path)
    assert (ring.find("other"), ring.damaged) == (theirs, 0), "what was there when it came late was taken in"
    assert len(ring) == 2
    ring.close()


def test_a_key_that_was_not_written_whole_is_given_to_nobody(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    kept = [ring.make(f"subject {n}") for n in range(3)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * SLOT + SLOT // 2, before[1]))
    try:
        with pytest.raises(StoreFullError, match="cannot be written"):
            ring.make("one too many")
        assert ring.find("one too many") == ""
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept.append(ring.make("one too many"))
    ring.close()
    ring = KeyRing(tmp_path / "keys")
    assert (sorted(ring), ring.damaged) == (sorted(kept), 0)
    ring.close()
