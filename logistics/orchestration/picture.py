"""A workflow as a picture: in the language of Mermaid, and as lines for a terminal."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from actors.runtime.spans import span_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logistics.orchestration.definition import Definition, StepDefinition


def mermaid(definition: Definition, edges: Mapping[str, Sequence[str]]) -> str:
    """Return a flowchart; `edges` has what each step waits for, without circles."""
    numbers = {step.name: number for number, step in enumerate(definition.steps)}
    lines = ["flowchart TD"]
    for step in definition.steps:
        left, right = _shape(step)
        label = " ".join(filter(None, (step.name, _what(step)))).replace('"', "#quot;")
        lines.append(f'    s{numbers[step.name]}{left}"{label}"{right}')
    for step in definition.steps:
        arrow = "-.->" if step.when or step.when_function or step.last else "-->"
        lines += [f"    s{numbers[other]} {arrow} s{numbers[step.name]}" for other in edges[step.name]]
    return "\n".join(lines) + "\n"


def _shape(step: StepDefinition) -> tuple[str, str]:
    if step.wait:
        return "([", "])"
    if step.workflow:
        return "[[", "]]"
    return ("[/", "/]") if step.map_over else ("[", "]")


def _what(step: StepDefinition) -> str:
    """Return what is out of the ordinary about a step, in a few words."""
    words = []
    if step.map_over:
        words.append(f"for each of {step.map_over}")
    if step.workflow:
        words.append(f"a run of {step.workflow}")
    if step.wait:
        words.append(
            f"waits {span_text(step.wait_us)}" if step.wait == "time" else f"waits for a {step.wait}"
        )
    if step.when or step.when_function:
        words.append(f"if {step.when or step.when_function}")
    if not step.required:
        words.append("optional")
    if step.compensate:
        words.append("can be undone")
    if step.last:
        words.append("finally")
    return f"({', '.join(words)})" if words else ""


def drawing(definition: Definition, edges: Mapping[str, Sequence[str]]) -> str:
    """Return lines for a terminal: each step under the last that it waits for; `(+ …)` names the others."""
    depth: dict[str, int] = {}
    for name in TopologicalSorter(edges).static_order():
        depth[name] = 1 + max((depth[other] for other in edges[name]), default=0)
    above = {name: max(others, key=depth.__getitem__) for name, others in edges.items() if others}
    under: dict[str, list[str]] = {name: [] for name in edges}
    for name, other in above.items():
        under[other].append(name)
    roots = [name for name, others in edges.items() if not others]
    steps = {step.name: step for step in definition.steps}
    lines = [definition.name]
    stack = [(name, "", name == roots[-1]) for name in reversed(roots)]
    while stack:
        name, indent, is_last = stack.pop()
        others = [other for other in edges[name] if other != above[name]]
        more = f"(+ {', '.join(others)})" if others else ""
        label = " ".join(filter(None, (name, _what(steps[name]), more)))
        lines.append(f"{indent}{'└─' if is_last else '├─'} {label}")
        inside = indent + ("   " if is_last else "│  ")
        below = under[name]
        stack += [(other, inside, other == below[-1]) for other in reversed(below)]
    return "\n".join(lines) + "\n"
