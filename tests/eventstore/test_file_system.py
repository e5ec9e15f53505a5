"""A store on a file system of the network is warned of (F40)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from eventstore import file_system
from eventstore.doctor import WARNING, check_folder
from eventstore.file_system import file_system_of, remote_file_system
from eventstore.lmdb_log import LmdbLog

MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/local rw master:1 - xfs /dev/vdb rw
32 27 0:42 / /mnt/with\\040space rw - cifs //server/share rw
33 27 0:43 / /twice rw - nfs server:/x rw
34 27 0:44 / /twice rw - tmpfs tmpfs rw
no mount at all
"""


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/var/store", "ext4"),
        ("/home/me/store", "nfs4"),
        ("/home/local/store", "xfs"),
        ("/homes/store", "ext4"),
        ("/mnt/with space/store", "cifs"),
        ("/twice/store", "tmpfs"),
    ],
)
def test_a_folder_lies_on_the_deepest_mount(folder: str, name: str) -> None:
    assert file_system_of(Path(folder), MOUNTS) == name


def test_f40_a_store_on_the_network_is_opened_with_a_loud_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    assert remote_file_system(tmp_path) == ""
    mounts.write_text(f"{MOUNTS}40 27 0:50 / {tmp_path} rw - nfs server:/x rw\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        LmdbLog.open(tmp_path / "store").close()
    assert "is on nfs: a store needs a local disk" in caplog.text
    assert [each.text for each in check_folder(str(tmp_path / "store")) if each.level == WARNING] == [
        "it is on nfs, not on a local disk"
    ]


def test_here_it_is_a_local_disk(tmp_path: Path) -> None:
    assert remote_file_system(tmp_path.resolve()) == ""
