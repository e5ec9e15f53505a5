"""Ids that callers make."""

from __future__ import annotations

import os
import threading

import pytest

from logistics.ids import IdSource
from logistics.inputs import check_id


def test_ids_increase_and_are_ids() -> None:
    source = IdSource()
    ids = [source() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert check_id("id", ids[0]) == ids[0]


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


def test_a_forked_child_draws_bits_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IdSource()
    ours = source()
    assert source()[13:] == ours[13:]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert source()[13:] != ours[13:]
