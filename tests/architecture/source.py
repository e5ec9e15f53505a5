"""The source as the architecture tests see it: modules by dotted name, parsed once, with resolved imports."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("logistics", "actors", "eventstore")
"""Ours, from the top of the house to its floor."""


@dataclass(frozen=True)
class Import:
    """One imported module: `name` is set when the statement was `from module import name`."""

    module: str
    name: str | None
    line: int
    typing_only: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """A parsed file. `name` is dotted, without `.__init__`; `where` is its path for messages."""

    name: str
    where: str
    is_package: bool
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.name.partition(".")[0]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self, self.tree, typing_only=False))

    @cached_property
    def calls(self) -> tuple[tuple[str, ast.Call], ...]:
        """Every call, with the dotted name of what is called."""
        return tuple((dotted(node.func), node) for node in self.nodes if isinstance(node, ast.Call))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All that is written in it."""
        return tuple(ast.walk(self.tree))

    def says(self, line: int, text: str) -> str:
        """A complaint about a line of this module."""
        return f"{self.where}:{line}: {text}"


class Tree:
    """All modules below some folders of one root."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = tuple(modules)
        self.by_name = {module.name: module for module in modules}

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules)

    def within(self, *packages: str) -> Iterator[Module]:
        return (module for module in self.modules if module.package in packages)

    def imported_by(self, module: Module) -> tuple[str, ...]:
        """Names of the modules of ours that run because this one imports them by name."""
        targets = {self._target(found) for found in module.imports if not found.typing_only}
        return tuple(sorted(name for name in targets if name and name != module.name))

    def _target(self, found: Import) -> str | None:
        submodule = f"{found.module}.{found.name}"
        if submodule in self.by_name:
            return submodule
        return found.module if found.module in self.by_name else None


Rule = Callable[[Tree], Iterator[str]]


def read_tree(root: Path, *folders: str) -> Tree:
    """Parse every Python file below the folders of `root`; a folder that is not there is empty."""
    paths = (path for folder in folders for path in sorted((root / folder).rglob("*.py")))
    return Tree([_read(root, path) for path in paths])


def _read(root: Path, path: Path) -> Module:
    relative = path.relative_to(root)
    parts = list(relative.with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    if is_package:
        parts.pop()
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(relative))
    return Module(name=".".join(parts), where=str(relative), is_package=is_package, tree=tree)


def _imports(module: Module, node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, None, node.lineno, typing_only)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield Import(_absolute(module, node), alias.name, node.lineno, typing_only)
    elif isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from _imports(module, child, typing_only=True)
        for child in node.orelse:
            yield from _imports(module, child, typing_only=typing_only)
    else:
        for each in ast.iter_child_nodes(node):
            yield from _imports(module, each, typing_only=typing_only)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    kept = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of attributes, with `?` for a part that is not a name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"
