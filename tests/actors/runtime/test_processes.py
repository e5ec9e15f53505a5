"""Processes that run attempts: those that were killed while they had nothing to do are no attempt's failure."""

from __future__ import annotations

from multiprocessing.connection import Connection

from actors.runtime.effects import AttemptKey
from actors.runtime.output import Printed
from actors.runtime.processes import BEGUN, ENDED, TRIES, ProcessPool


def answer_once(pipe: Connection, output: Connection) -> None:
    output.close()
    request = pipe.recv_bytes()
    pipe.send_bytes(BEGUN)
    pipe.send_bytes(ENDED + request)


def test_f68_as_many_idle_processes_as_may_be_killed_an_attempt_still_begins() -> None:
    pool = ProcessPool(answer_once)
    for _ in range(TRIES):
        worker = pool._make()
        worker.process.kill()
        worker.process.join()
        pool._idle.append(worker)
    keys = (AttemptKey("j", 1, 1),)
    answer = pool.run(keys, b"x", Printed(), is_cancelled=lambda _: False, hear=lambda _: None)
    assert answer == b"x"
    pool.close()
