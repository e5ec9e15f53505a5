"""`python -m logistics`: the command line, where its folder is not on the path."""

from __future__ import annotations

import sys

from logistics.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
