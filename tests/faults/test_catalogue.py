"""Each fault of the catalogue that concerns the store, its data, or jobs has a test that bears its number."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
STORAGE_AND_SCHEMA = {f"f{number}" for number in (20, *range(21, 48), *range(59, 65))}
JOBS = {f"f{number}" for number in range(65, 80)}
NUMBER = re.compile(r"\bf\d\d\b")


@cache
def numbers() -> set[str]:
    """Return the numbers of faults in the names of tests, and in what they say of themselves."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = f"{node.name.replace('_', ' ')} {ast.get_docstring(node) or ''}".lower()
                found.update(NUMBER.findall(said))
    return found


def test_every_fault_of_storage_and_schema_has_a_test() -> None:
    assert STORAGE_AND_SCHEMA - numbers() == set()


def test_every_fault_of_jobs_and_executors_has_a_test() -> None:
    assert JOBS - numbers() == set()
