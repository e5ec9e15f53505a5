"""A script that has a function run in a process, and lacks its guard: each process would begin the script anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.logistics.ground_rules.support import ROOT

SCRIPT = """
import sys
from logistics import Job, JobScheduler, OrchestrationEngine, Queue


def work():
    return 1


engine = OrchestrationEngine(sys.argv[1])
queue = Queue("q", engine=engine)
job_id = queue.enqueue(Job("work", work, executor="process", max_retries=0))
JobScheduler(engine=engine).process(queue)
print(queue.get_job(job_id).error)
"""


def test_a_script_without_its_guard_is_told_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "store")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    needed = 'a script whose functions run in processes needs its `if __name__ == "__main__":`'
    how = "WorkerDied: the process that was to run it ended with exit code 1 before it could begin"
    assert done.stdout == f"{how}; {needed}\n"
    assert "InputError: a process that is to run a function would open a store of its own" in done.stderr
    assert "StoreInUseError" not in done.stderr
