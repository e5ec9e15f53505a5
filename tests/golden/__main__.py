"""Add a line for each shape of an event that the golden file does not have yet; no line is ever changed."""

from __future__ import annotations

from tests.golden.lines import FILE, golden, present

if __name__ == "__main__":
    known = set(golden()) if FILE.exists() else set()
    with FILE.open("a", encoding="utf-8") as file:
        for line in present():
            if line not in known:
                file.write(line.text() + "\n")
                print("added", line.tag, "version", line.version)
