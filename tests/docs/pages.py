"""Markdown as the documentation tests read it: fenced blocks, words in backticks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

FOLDERS = ("", "logistics/orchestration", "logistics/task", "logistics/schedule", "actors", "eventstore")
PAGES = tuple(Path(folder) / name for folder in FOLDERS for name in ("README.md", "AGENTS.md", "SPEC.md"))
"""The pages that must be there and be true, relative to the root of the repository."""

FENCE = re.compile(
    r"^(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<body>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    line: int


def blocks(text: str, language: str) -> list[Block]:
    """The fenced blocks of one language, in order."""
    found = (
        Block(match["language"], match["body"], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
    )
    return [block for block in found if block.language == language]


def without_blocks(text: str) -> str:
    """The prose: each fenced block becomes as many empty lines, so that line numbers stay right."""
    return FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def words_in_backticks(text: str) -> Iterator[tuple[int, str]]:
    """(line, word) for each piece of inline code in the prose."""
    for number, line in enumerate(without_blocks(text).splitlines(), start=1):
        for match in INLINE.finditer(line):
            yield number, match[1].strip()


def local_links(text: str) -> Iterator[tuple[int, str]]:
    """(line, path) for each link to a file of the repository."""
    for number, line in enumerate(without_blocks(text).splitlines(), start=1):
        for match in LINK.finditer(line):
            target = match["target"].partition("#")[0]
            if target and "://" not in target and not target.startswith("mailto:"):
                yield number, target
