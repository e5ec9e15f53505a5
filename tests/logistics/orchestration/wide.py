"""Runs one list of so many items on a store on disk, and says how long it took and how much memory.

`python -m tests.logistics.orchestration.wide STORE COUNT` prints a line of JSON: the output, the seconds, the
growth of the largest resident size in MiB, and the bytes on disk.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps


def resident_mib() -> float:
    """Return the largest resident size so far; 0 where the host does not say it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def main(store: Path, count: int) -> None:
    """Run it."""
    with OrchestrationEngine(store) as engine:
        manager = WorkflowManager(engine)
        manager.create("warm").add_step("extract", steps.extract).add_step(
            "d", steps.double, map_over="extract"
        )
        manager.run("warm").raise_for_status()
        wide = manager.create("wide").add_step("count", steps.count_up)
        wide.add_step("double", steps.double, map_over="count").add_step("load", steps.load_all)
        before, began_s = resident_mib(), time.monotonic()
        result = manager.run("wide", count=count)
        took_s = time.monotonic() - began_s
        result.raise_for_status()
        sys.stdout.write(
            json.dumps(
                {
                    "output": result["load"],
                    "items": result.steps["double"].items_ended,
                    "seconds": round(took_s, 2),
                    "grown_mib": round(resident_mib() - before, 1),
                    "disk_bytes": (store / "data.mdb").stat().st_blocks * 512,
                }
            )
            + "\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
