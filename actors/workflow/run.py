"""A run, and the graph of steps that it goes through."""

from __future__ import annotations

from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from actors.workflow.specs import Kept, Plan, RunStatus, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


UNDO = "undo"
"""Which of a step's jobs compensates it."""
MADE_ID, HEX = 24, frozenset("0123456789abcdef")
"""How long an id is that nobody has chosen, and what it is made of."""


def digest(value: bytes) -> bytes:
    """Return the fingerprint of a value that was sent to a step."""
    return blake2b(value, digest_size=8).digest()


class Graph:
    """A plan, with its edges turned round: shared by all runs of it."""

    def __init__(self, plan_id: str, plan: Plan) -> None:
        self.plan_id = plan_id
        self.plan = plan
        self.options = {
            index: step.options for index, step in enumerate(plan.steps) if step.options is not None
        }
        """Of the steps that are out of the ordinary."""
        self.last = tuple(index for index, options in self.options.items() if options.last)
        """Steps that are begun when all others have ended."""
        self.ordinary: Sequence[int] = range(len(plan.steps))
        """All the others."""
        if self.last:
            last = frozenset(self.last)
            self.ordinary = [index for index in self.ordinary if index not in last]
        self.undoable = frozenset(index for index, options in self.options.items() if options.compensate)
        """Steps that can be compensated."""
        self.dependents: list[list[int]] = [[] for _ in plan.steps]
        self.missing = [len(step.depends_on) for step in plan.steps]
        for index, step in enumerate(plan.steps):
            for other in step.depends_on:
                if self._is_last(index) and not self._is_last(other):
                    self.missing[index] -= 1  # it has ended by then
                else:
                    self.dependents[other].append(index)
        self.children = tuple({options.child: None for options in self.options.values() if options.child})
        """The plans of the runs that its steps are."""
        self.runs = 0
        """Live runs of it."""

    def _is_last(self, step: int) -> bool:
        options = self.options.get(step)
        return options is not None and options.last

    def passes(self, step: int, status: StepStatus, *, spared: bool = False) -> bool:
        """Whether a step that has ended so lets go what depends on it. `spared`: its own condition skipped it."""
        if status is StepStatus.COMPLETED:
            return True
        options = self.options.get(step)
        if options is None:
            return False
        if options.on_failure == "skip_if_failed":
            return options.last or spared
        return options.last or options.on_failure == "continue"

    def is_fatal(self, step: int) -> bool:
        """Whether the failure of a step is the run's, and lets go nothing."""
        options = self.options.get(step)
        return options is None or (options.required and not self.passes(step, StepStatus.FAILED))


FAN_BEFORE_RUNS = 5
"""Values in the image of a fan by a version whose items were no runs."""


class Fan:
    """A step that is mapped over a list."""

    __slots__ = ("count", "error", "failed", "flying", "next", "runs")

    def __init__(self, count: int) -> None:
        self.count = count
        self.next = 0
        """The first item whose turn has not come."""
        self.flying: dict[int, None] = {}
        """Items whose outcome the queue owes."""
        self.runs: dict[int, None] = {}
        """Items that are runs which have begun; all others before `next` have ended."""
        self.failed = 0
        self.error = ""
        """Of the first item that failed."""

    @property
    def under_way(self) -> int:
        """How many items have begun and not ended."""
        return len(self.flying) + len(self.runs)

    def dump(self) -> Any:
        """Give it as plain data."""
        return self.count, self.next, list(self.flying), self.failed, self.error, list(self.runs)

    @classmethod
    def restore(cls, image: Any) -> Fan:
        """Return the one whose `dump` was `image`."""
        fan = cls(image[0])
        fan.next, fan.flying, fan.failed, fan.error = image[1], dict.fromkeys(image[2]), image[3], image[4]
        fan.runs = dict.fromkeys(image[5] if len(image) > FAN_BEFORE_RUNS else ())
        return fan


class Extras:
    """What only few runs have."""

    __slots__ = (
        "fans",
        "held",
        "kept",
        "limited",
        "others",
        "owner",
        "parent",
        "paused",
        "signals",
        "undo",
        "undo_error",
        "undoing",
        "waits",
    )

    def __init__(self) -> None:
        self.parent = ""
        """The run one of whose steps it is."""
        self.paused = False
        self.held = False
        """Whether it waits for a place of its session."""
        self.limited = False
        """Whether its calls hold a share of its session's limit while they run."""
        self.fans: dict[int, Fan] = {}
        self.waits: dict[int, int] = {}
        """Steps that wait, and until when (µs UTC; 0: for ever)."""
        self.others: dict[int, str] = {}
        """Steps that are, or wait for, other runs, and which."""
        self.signals: dict[int, bytes] = {}
        """Steps that something was sent to, and its fingerprint."""
        self.kept: dict[int, Kept] = {}
        self.undo: list[int] = []
        """Steps to be compensated, in the order in which they have ended."""
        self.undoing = -1
        """The step that is being compensated; -1: none."""
        self.undo_error = ""
        self.owner = ""
        """Who is told of its end."""

    def dump(self) -> Any:
        """Give them as plain data."""
        return (
            self.parent,
            self.paused,
            [(step, fan.dump()) for step, fan in self.fans.items()],
            list(self.waits.items()),
            list(self.others.items()),
            list(self.signals.items()),
            [msgspec.structs.astuple(kept) for kept in self.kept.values()],
            list(self.undo),
            self.undoing,
            self.undo_error,
            self.owner,
            self.held,
            self.limited,
        )

    @classmethod
    def restore(cls, image: Any) -> Extras:
        """Return those whose `dump` was `image`."""
        extras = cls()
        extras.parent, extras.paused, fans, waits, others, signals, kept, undo, *rest = image
        extras.fans = {step: Fan.restore(fan) for step, fan in fans}
        extras.waits, extras.others, extras.signals = dict(waits), dict(others), dict(signals)
        extras.kept = {row[0]: Kept(*row) for row in kept}
        extras.undo = list(undo)
        extras.undoing, extras.undo_error, extras.owner, extras.held, extras.limited = rest
        return extras


def _none() -> Extras:
    """Return extras that cannot be changed."""
    extras = Extras()
    for name in ("fans", "waits", "others", "signals", "kept"):
        setattr(extras, name, MappingProxyType({}))
    extras.undo = ()  # type: ignore[assignment]  # only read
    return extras


NO_EXTRAS = _none()
"""Those of a run that has none of its own."""


class Run:
    """A live run."""

    __slots__ = (
        "ending",
        "error",
        "extras",
        "graph",
        "left",
        "missing",
        "params",
        "project",
        "run_id",
        "session_id",
        "steps",
        "stuck",
    )

    def __init__(
        self, run_id: str, graph: Graph, params: bytes, session_id: str = "", project: str = ""
    ) -> None:
        self.run_id = run_id
        self.graph = graph
        self.params = params
        self.session_id = session_id
        self.project = project
        self.steps = [StepStatus.PENDING] * len(graph.plan.steps)
        self.missing = list(graph.missing)
        self.left = len(graph.ordinary)
        """Steps of the present phase that have not ended."""
        self.stuck = 0
        """Steps that have ended and let nothing go, at most."""
        self.error = ""
        """Of the first step whose failure fails the run."""
        self.ending = ""
        """How it will end (`RunStatus`), once its ordinary steps have ended."""
        self.extras: Extras = NO_EXTRAS

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
        return self.graph.plan.workflow

    def has_made_id(self) -> bool:
        """Whether its id, or that of the run or firing at its root, looks made: no caller has chosen one like it."""
        root = self.run_id.partition(".")[0]
        return len(root) == MADE_ID and HEX.issuperset(root)

    def job_id(self, step: int, part: str = "") -> str:
        """Return the id of a step's job, or of one of them: the same however often it is said (R9)."""
        return f"{self.run_id}.{step}:{part}" if part else f"{self.run_id}.{step}"

    def owed_jobs(self, step: int) -> Iterator[str]:
        """Yield the ids of a step's jobs whose outcomes the queue owes."""
        if self.steps[step] is StepStatus.RUNNING:
            fan = self.extras.fans.get(step)
            if fan is None:
                yield self.job_id(step)
            else:
                for item in fan.flying:
                    yield self.job_id(step, str(item))

    def owed(self) -> Iterator[str]:
        """Yield the ids of all its jobs whose outcomes the queue owes."""
        for step in range(len(self.steps)):
            yield from self.owed_jobs(step)
        if self.extras.undoing >= 0:
            yield self.job_id(self.extras.undoing, UNDO)

    def children(self, step: int) -> Iterator[str]:
        """Yield the ids of the runs that a step is and that have not ended."""
        fan = self.extras.fans.get(step)
        if fan is not None:
            yield from (self.job_id(step, str(item)) for item in fan.runs)
        elif step in self.extras.waits and self.graph.options[step].child:
            yield self.extras.others[step]

    def owes(self, step: int, part: str) -> bool:
        """Whether the queue owes the outcome of a step's job, or of one of them."""
        if part == UNDO:
            return self.extras.undoing == step
        if step >= len(self.steps) or self.steps[step] is not StepStatus.RUNNING:
            return False
        fan = self.extras.fans.get(step)
        return fan is None if not part else fan is not None and int(part) in fan.flying

    @property
    def status(self) -> RunStatus:
        """Where it stands: not begun, paused, waiting for something that is no work of its own, or running."""
        if self.extras.held:
            return RunStatus.PENDING
        if self.extras.paused:
            return RunStatus.PAUSED
        if self.extras is not NO_EXTRAS and self.extras.undoing < 0 and not self._works():
            return RunStatus.WAITING
        return RunStatus.RUNNING

    def _works(self) -> bool:
        """Whether the queue owes the outcome of a step, or nothing is waited for."""
        fans = [fan for fan in self.extras.fans.values() if fan.runs and not fan.flying]
        return self.steps.count(StepStatus.RUNNING) > len(fans) or not (fans or self.extras.waits)

    def output(self, step: int) -> tuple[str, str]:
        """Return of which kind the source of a step's output is (see `Input`), and the source."""
        options = self.graph.options.get(step)
        kept = self.extras.kept.get(step)
        source = self.job_id(step) if kept is None else kept.source
        if options is None:
            return "step", source
        if options.mapped:
            fan = self.extras.fans.get(step)
            count = kept.count if kept is not None else 0 if fan is None else fan.count
            return "runs" if options.child else "list", f"{count}/{source}:"
        if options.child:
            return "run", source
        if options.wait is None:
            return "step", source
        if options.wait.kind == "run":
            return "run", source if kept is not None else self.extras.others[step]
        return ("signal", source) if options.wait.kind == "signal" else ("none", "")

    def is_to_undo(self, step: int, status: StepStatus, lost: int | None = None) -> bool:
        """Whether a step that ends so may have done what its compensation undoes.

        One that is mapped over a list has, unless all items so far, `lost` of them, have failed.
        """
        if step not in self.graph.undoable or status is StepStatus.COMPLETED:
            return step in self.graph.undoable
        fan = self.extras.fans.get(step)
        return fan is not None and fan.next > (fan.failed if lost is None else lost)

    def is_undone_at_end(self, step: int) -> bool:
        """Whether a step that has succeeded is compensated in the end, as far as one knows."""
        return step in self.graph.undoable and self.ending != RunStatus.COMPLETED

    def undo_failure(self, step: int, error: str) -> str:
        """Return what a failed compensation adds to the error of the run."""
        return f"step {self.graph.plan.steps[step].name!r} could not be compensated: {error}"

    def extend(self) -> Extras:
        """Return the extras, its own ones, to be changed."""
        if self.extras is NO_EXTRAS:
            self.extras = Extras()
        return self.extras

    def keep(self, kept: Iterable[Kept]) -> None:
        """Take over the outputs of steps of another run."""
        extras = self.extend()
        for each in kept:
            extras.kept[each.step] = each
            if each.step in self.graph.undoable:
                extras.undo.append(each.step)
            self.end_step(each.step, StepStatus.COMPLETED)

    def end_step(self, step: int, status: StepStatus, *, spared: bool = False, lost: bool = False) -> None:
        """Record how a step has ended, and let go what it lets go: nothing if it is lost (see `StepSkipped`)."""
        self.steps[step] = status
        self.left -= 1
        if not lost and self.graph.passes(step, status, spared=spared):
            for dependent in self.graph.dependents[step]:
                self.missing[dependent] -= 1
        else:
            self.stuck += 1

    def failure(self, step: int, error: str) -> str:
        """Return the error of the run that the failure of a step is."""
        return f"step {self.graph.plan.steps[step].name!r} failed: {error}"
