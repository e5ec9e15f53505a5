"""Ids that callers make."""

from __future__ import annotations

import subprocess
import sys
import threading

from actors.runtime.ids import made_us
from logistics.ids import IdSource
from logistics.inputs import check_id


def test_ids_increase_and_are_ids() -> None:
    source = IdSource()
    ids = [source() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert check_id("id", ids[0]) == ids[0]


def test_ids_are_later_than_an_instant_that_the_clock_has_not_reached() -> None:
    source = IdSource()
    source.go_beyond(1 << 51)
    ids = [source(), source()]
    assert [made_us(f"run:{each}") for each in ids] == [(1 << 51) + 1, (1 << 51) + 2]
    source.go_beyond(0)
    assert source() > ids[-1]


def test_ids_of_many_threads_are_all_different() -> None:
    source = IdSource()
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend([source() for _ in range(2_000)])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 16_000


FORKING = """
import os
from logistics.ids import new_id
ours = new_id()
assert new_id()[13:] == ours[13:]
if os.fork() == 0:
    print(new_id()[13:] != ours[13:], flush=True)
    os._exit(0)
os.wait()
assert new_id()[13:] == ours[13:]
"""


def test_a_forked_child_draws_bits_of_its_own() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"
