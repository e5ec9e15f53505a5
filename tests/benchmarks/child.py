"""One case in a process of its own: it prints its metrics as a line of JSON, and leaves as it is."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

RESULT = "benchmark result: "


def main(module: str, workload: str, size: str, folder: str) -> None:
    """Run the case of a workload in a contestant's module."""
    metrics = importlib.import_module(module).CASES[workload](int(size), Path(folder))
    print(RESULT + json.dumps(dict(metrics)), flush=True)
    # Threads of a peer may take seconds to stop; nothing is measured any more.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
