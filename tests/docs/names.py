"""Which words of a page claim to be names of ours, and which names there are."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.docs.pages import local_links, words_in_backticks

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME = re.compile(r"\.?(?P<dotted>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<call>\(.*\))?")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
SUFFIXES = (".py", ".md", ".toml", ".txt", ".sh", ".yml", ".json", ".csv", ".sqlite")

FOREIGN = frozenset(
    """
    AGENTS README SPEC CHANGELOG Makefile
    UTC IANA CSV TOML JSON YAML SQL SQLite LMDB API CLI GIL FIFO UUID CRC ANSI POSIX DST
    SIGINT SIGTERM SIGKILL SIGHUP
    Linux Python Pykka
    """.split()
)
"""Words that are written in backticks and are names of other things."""

PACKAGES_OF_OTHERS = frozenset(
    {
        "pykka",
        "msgspec",
        "lmdb",
        "croniter",
        "tzdata",
        "typer",
        "rich",
        "pytest",
        "hypothesis",
        "ruff",
        "mypy",
        "huey",
        "dbos",
    }
)


@dataclass(frozen=True)
class Code:
    """What our code has: every identifier that it defines, uses or has in a string, and its classes."""

    names: frozenset[str]
    classes: Mapping[str, Members] = field(default_factory=dict)

    def has(self, owner: str, name: str) -> bool:
        """Whether `owner.name` can be: a member of a class of ours, or, of anything else, a name at all."""
        members = self.classes.get(owner)
        if members is None:
            return name in self.names
        if name in members.names:
            return True
        return any(self._may_inherit(base, name) for base in members.bases)

    def _may_inherit(self, base: str, name: str) -> bool:
        return self.has(base, name) if base in self.classes else name in self.names


@dataclass
class Members:
    """The members of a class, and the names of its bases; classes of one name are taken together."""

    names: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)


def read_code(root: Path, folders: Iterable[str]) -> Code:
    """Read all that our code in these folders has: modules, classes, parameters, tags in strings, ..."""
    names: set[str] = set()
    classes: dict[str, Members] = {}
    for folder in folders:
        for path in (root / folder).rglob("*.py"):
            relative = path.relative_to(root).with_suffix("")
            names.update(part for part in relative.parts if part != "__init__")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names.update(_names_of(node))
                if isinstance(node, ast.ClassDef):
                    _add_class(classes.setdefault(node.name, Members()), node)
    return Code(frozenset(names), classes)


def _add_class(members: Members, node: ast.ClassDef) -> None:
    for base in node.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        members.bases.add(ast.unparse(plain).rpartition(".")[2])
    for child in ast.walk(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                members.names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                members.names.add(name)
            case _:
                pass


def _names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            yield from name.split(".")
        case ast.keyword(arg=str(name)):
            yield name
        case ast.Constant(value=str(text)) if len(text) <= 200 and "\n" not in text:
            yield from IDENTIFIER.findall(text)


def unknown_names(text: str, code: Code) -> Iterator[str]:
    """The words in backticks that look like names of ours and are in no code of ours."""
    for line, word in words_in_backticks(text):
        parts = _claimed(word)
        missing = [part for part in parts if part not in code.names]
        strangers = [f"{left}.{right}" for left, right in pairwise(parts) if not code.has(left, right)]
        if missing or strangers:
            yield f"line {line}: `{word}`: the code has no {' and no '.join(missing or strangers)}"


def _claimed(word: str) -> tuple[str, ...]:
    match = NAME.fullmatch(word)
    if match is None or word.endswith(SUFFIXES):
        return ()
    parts = match["dotted"].split(".")
    if parts[0] in PACKAGES_OF_OTHERS or parts[0] in sys.stdlib_module_names or parts[0] in FOREIGN:
        return ()
    if len(parts) == 1 and not match["call"] and _is_plain_word(parts[0]):
        return ()
    return tuple(part for part in parts if not _is_of_python(part))


def _is_plain_word(word: str) -> bool:
    """A lower-case word without underscore may be prose, a value or a command; it claims nothing."""
    return word.islower() and "_" not in word


def _is_of_python(word: str) -> bool:
    return hasattr(builtins, word) or keyword.iskeyword(word)


def missing_files(text: str, folder: Path, root: Path) -> Iterator[str]:
    """The links and paths that lead nowhere; a path is seen from the page or from the root."""
    for line, target in local_links(text):
        if not (folder / target).exists():
            yield f"line {line}: the link to {target} leads nowhere"
    for line, word in words_in_backticks(text):
        looks_like_a_path = PATH.fullmatch(word) and "/" in word and word.endswith(("/", *SUFFIXES))
        if looks_like_a_path and not _made_at_run_time(word) and not _exists(word, folder, root):
            yield f"line {line}: there is no `{word}`"


def _made_at_run_time(path: str) -> bool:
    return path.startswith((".", "build/", "projects/", "/"))


def _exists(path: str, folder: Path, root: Path) -> bool:
    return (folder / path).exists() or (root / path).exists()
