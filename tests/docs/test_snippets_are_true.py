"""The Python on the pages can be parsed, says nothing that the code does not know, and runs where it is whole."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import logistics
from tests.docs.api_reference import public_names
from tests.docs.names import read_code
from tests.docs.pages import ROOT, Block, blocks
from tests.docs.scripts import run_once

FOLDERS = ("docs", "logistics")
FOREIGN = frozenset({"add_span_processor"})
"""Methods of other libraries that snippets call, and our code does not."""
PATHS = [ROOT / "AGENTS.md", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md")))]
SNIPPETS = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}:{block.line}")
    for path in PATHS
    for block in blocks(path.read_text(encoding="utf-8"), "python")
]


@cache
def names_of_code() -> frozenset[str]:
    return read_code(ROOT, ["logistics", "actors"]).names


@cache
def parameters() -> dict[str, set[str]]:
    """What each public class, function and method can be given, by its last name; `**` for anything."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, subject in public_names(logistics):
        raw = subject.__func__ if isinstance(subject, classmethod | staticmethod) else subject
        if callable(raw) and not (inspect.isclass(raw) and issubclass(raw, BaseException)):
            for parameter in inspect.signature(raw).parameters.values():
                is_any = parameter.kind is inspect.Parameter.VAR_KEYWORD
                found[name.rpartition(".")[2]].add("**" if is_any else parameter.name)
    return dict(found)


def complaints(text: str) -> Iterator[str]:
    """All that a snippet says of us and that is not so."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "logistics":
            unknown = [alias.name for alias in node.names if not hasattr(logistics, alias.name)]
            yield from (f"logistics has no {name}" for name in unknown)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            allowed = parameters().get(called)
            if isinstance(node.func, ast.Attribute) and called not in names_of_code() | FOREIGN:
                yield f"nothing in the code is called {called}"
            if allowed is not None and "**" not in allowed:
                given = {each.arg for each in node.keywords if each.arg is not None}
                yield from (f"{called}() has no {name}=" for name in sorted(given - allowed))


def undefined(text: str) -> set[str]:
    """The names that the reader has to think of."""
    bound, read = set(dir(builtins)), set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add(other or name.partition(".")[0])
            case _:
                pass
    return read - bound


@pytest.mark.parametrize("block", SNIPPETS)
def test_a_snippet_says_nothing_that_is_not_so(block: Block) -> None:
    assert list(complaints(block.text)) == []


def is_whole(text: str) -> bool:
    """Whether it can be run as it stands: it needs no names, and no arguments, of the reader's."""
    return not undefined(text) and "sys.argv" not in text


@pytest.mark.parametrize("block", [each for each in SNIPPETS if is_whole(each.values[0].text)])  # type: ignore[union-attr]
def test_a_snippet_that_is_whole_runs_twice_in_one_folder(tmp_path: Path, block: Block) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(block.text, encoding="utf-8")
    run_once(script, as_said=True)
    run_once(script, as_said=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("from logistics import Quueue", "logistics has no Quueue"),
        ("queue.dekueue()", "nothing in the code is called dekueue"),
        ("queue.dequeue(leese=3)", "dequeue() has no leese="),
        ("Job('a', f, prio=3)", "Job() has no prio="),
    ],
)
def test_what_is_not_so_is_found(text: str, complaint: str) -> None:
    assert list(complaints(text)) == [complaint]


PARTS = frozenset({"batches", "coming_from_schedulers", "recovery", "seeing_jobs", "testing"})
"""Guides that begin with a part of a script, or with what takes the place of somebody else's."""
GUIDES = [path for path in sorted((ROOT / "docs" / "guide").glob("*.md")) if path.stem not in PARTS]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_what_a_guide_shows_first_is_a_whole_script(page: Path) -> None:
    first = next(iter(blocks(page.read_text(encoding="utf-8"), "python")), None)
    assert first is None or not undefined(first.text)
