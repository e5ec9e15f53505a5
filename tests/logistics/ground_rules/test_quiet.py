"""Nothing is printed, whatever fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import run_child
from tests.logistics.task.functions import fail

QUIET = """
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.logistics.task.functions import add, fail, raise_system_exit
engine = OrchestrationEngine(":memory:")
queue = Queue(engine=engine)
queue.enqueue_many([Job("good", add), Job("bad", fail, max_retries=0), Job("out", raise_system_exit, max_retries=0)])
assert tuple(JobScheduler().process(queue)) == (1, 2, 0)
engine.register_event_handler("job.*", lambda tag, data: 1 / 0)
queue.enqueue(Job("good", add))
"""


def test_nothing_is_printed_whatever_fails() -> None:
    child = run_child(QUIET)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


OPEN_TO_ALL = """
import os, sys
from logistics import OrchestrationEngine
OrchestrationEngine(sys.argv[1]).close()
os.chmod(sys.argv[1], 0o777)
OrchestrationEngine(sys.argv[1]).close()
"""


def test_a_warning_about_the_store_is_not_printed_either(tmp_path: Path) -> None:
    child = run_child(OPEN_TO_ALL, tmp_path / "store")
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_a_failing_job_is_no_business_of_the_log(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    queue.enqueue(Job("bad", fail, max_retries=0))
    JobScheduler().process(queue)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
