"""A commit that the kernel itself refuses half-way, at each call that it is made of (F21, F25, F26)."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventstore.checking import check_log
from eventstore.errors import DiskFullError, OutcomeUnknownError, ReopenNeededError
from eventstore.lmdb_log import LmdbLog
from tests.eventstore.support import append
from tests.support.denied import deny

META = 120
"""Bytes of a meta page that the engine writes, last of all."""
CALLS = {
    "F25: no sync": ("fdatasync", None),
    "F26: no meta page": ("pwrite64", META),
    "no page": ("pwrite64", None),
    "no pages": ("writev", None),
}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
@pytest.mark.parametrize("kind", CALLS)
def test_f21_f25_f26_what_the_kernel_refuses_is_an_unknown_outcome_and_is_got_over(
    tmp_path: Path, kind: str, code: int
) -> None:
    """For as long as the disk is bad, every commit fails and reading goes on; then all is as it was."""
    call, size = CALLS[kind]
    with LmdbLog.open(tmp_path / "store", segment_records=4) as log:

        def commits_fail() -> None:
            deny(call, code, size=size)
            for _ in range(2):  # again and again
                with pytest.raises(OutcomeUnknownError) as caught:
                    append(log, "job:1", *[f"job:{n}" for n in range(200)])
                assert isinstance(caught.value, DiskFullError) == (code == errno.ENOSPC)
                with pytest.raises(ReopenNeededError):
                    append(log, "job:1")
                assert log.reopen() == acknowledged
                assert [stored.position for stored in log.history("job:1")] == [1, 5]

        append(log, "job:1", "job:2", "job:3", "job:4")
        acknowledged = append(log, "job:1")
        with ThreadPoolExecutor(1) as bad_disk:
            bad_disk.submit(commits_fail).result()
        assert append(log, "job:6").position == acknowledged.position + 1
        assert check_log(log).problem == ""
