"""Where in a file something is that a place such as `steps[2].max_retries` names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_PLACE: Final = re.compile(r"(?:params\.(?P<param>[^.:\s]+)|steps\[(?P<step>\d+)\])?\.?(?P<key>[a-z_]+)?")


def with_lines(problems: Iterable[str], text: str, suffix: str) -> tuple[str, ...]:
    """Return the problems, each with the line of its place in front, if that can be told."""
    return tuple(_with_line(problem, text, suffix.lower()) for problem in problems)


def _with_line(problem: str, text: str, suffix: str) -> str:
    place = problem.partition(": ")[0]
    found = _PLACE.match(place)
    if found is None or not (found["param"] or found["step"] or found["key"]):
        return problem
    lines = text.splitlines()
    block = range(len(lines))
    if found["step"] is not None:
        starts = [*_steps(lines, suffix), len(lines)]
        number = int(found["step"])
        if number + 1 >= len(starts):
            return problem
        block = range(starts[number], starts[number + 1])
    key = found["key"] or found["param"] or ""
    line = next((line for line in block if key and _names(lines[line], key)), block.start)
    if found["step"] is None and not any(_names(lines[each], key) for each in block):
        return problem
    return f"line {line + 1}: {problem}"


def _steps(lines: list[str], suffix: str) -> Iterator[int]:
    """Yield the lines on which steps begin."""
    if suffix == ".toml":
        yield from (number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*steps\s*\]\]", line))
        return
    begun = next((number for number, line in enumerate(lines) if _names(line, "steps")), len(lines))
    mark = r'\s*\{?\s*"?steps"?\s*:\s*\[\s*\{|\s*\{' if suffix == ".json" else r"\s*-\s"
    depth: int | None = None
    for number in range(begun + (suffix != ".json"), len(lines)):
        line = lines[number]
        if re.match(mark, line):
            indent = len(line) - len(line.lstrip())
            depth = indent if depth is None else depth
            if indent <= depth:
                yield number


def _names(line: str, key: str) -> bool:
    """Whether a line gives a key a value, or is the head of its table."""
    return re.search(rf'(?:^|[\s{{,.\[-])"?{re.escape(key)}"?\s*(?:[=:\]]|$)', line) is not None
