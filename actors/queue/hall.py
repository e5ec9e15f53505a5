"""Where ready jobs stand, and which of them is next: nothing that is held back is looked at twice."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.gates import ONLY_BY_AN_END, Gate, Parked
from actors.queue.heads import Heads
from actors.queue.jobs import Kind
from actors.queue.lanes import STRETCH, Lane
from actors.queue.lines import Line
from actors.queue.specs import FIRINGS, SHARE, STEPS, QueueSettings
from eventstore.decoding import converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.queue.jobs import Job
    from actors.queue.resources import Resources
    from actors.runtime.messages import Context

PLAIN = QueueSettings()
_SETTINGS = converter(QueueSettings)
FEW = 256
"""Kinds, and gates, that are kept without looking whether they are still needed."""


_order = attrgetter("order")
_kind = attrgetter("kind")


def serves(context: Context, queue: str) -> bool:
    """Whether workers take jobs of a queue now."""
    if queue == FIRINGS and context.scheduling:
        return True
    if context.served is None:
        return queue != FIRINGS
    return queue == STEPS or queue in context.served


class Hall:
    """All queues with their lanes, and what holds these back.

    A lane whose first job cannot start is parked at what holds it back: a gate, or resources. When that lets
    somebody through again, the first of those who are parked there is tried again, and the next one as soon as
    the first has started, gone, or been parked elsewhere. Where lanes are parked is a memory of what was tried,
    no part of the state: within a queue `first` finds the same without it. Between queues, one in which groups take
    turns or ageing counts may show somebody else first.
    """

    def __init__(self, resources: Resources, jobs: Mapping[str, Job]) -> None:
        self.lines: dict[str, Line] = {}
        self.lanes: dict[Kind, Lane] = {}
        self.last_kind: Kind | None = None
        """Kept even when it has no jobs."""
        self.shares: dict[str, dict[Lane, None]] = {}
        """By what the calls of a session share: the lanes of those that need it."""
        self.newest_us = 0
        """When an attempt began last, by a clock that may be set back: what a rate remembers is forgotten in time."""
        self.is_past = False
        """Whether what it is told is long over: nobody asks who is next, so nobody needs a place."""
        self._resources = resources
        self._jobs = jobs
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._kinds_limit = FEW
        self._startable: Heads[Line] = Heads()
        """Queues that are not paused and have a lane to be tried, by the first job there."""
        self.opening: Heads[Gate] = Heads()
        """Gates that hold somebody back, by the instant at which they open."""
        self._stores: dict[str, Gate] = {}
        """Who waits for which resource."""
        self._several = 0
        """Kinds that need more than one resource."""
        self._lines_of: dict[Gate, Line] = {}
        """Queues that are held back as a whole, by their gate."""
        self._asked_us = 0
        """What time it was when somebody last asked who is next."""
        self._served: object = None
        """Which queues were served when lanes were tried: others must not keep resources from anybody."""

    # -- names --------------------------------------------------------------------------------------------

    def line(self, name: str) -> Line:
        """Return a queue's line, new if it had none."""
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line(name)
            line.is_loose = self.is_past
        return line

    def kind(self, values: tuple[Any, ...]) -> Kind:
        """Return the one kind of these values, with a lane, new if there is none."""
        kind = self._kinds.get(values)
        if kind is None:
            if len(self._kinds) >= self._kinds_limit:
                self._sweep()
            kind = self._kinds[values] = Kind(*values)
            lane = self.lanes[kind] = Lane(kind, self.line(kind.queue))
            lane.line.lanes[lane] = None
            for name, _ in kind.resources:
                if name.startswith(SHARE):
                    self.shares.setdefault(name, {})[lane] = None
            if len(lane.needs) > 1:
                self._several += 1
                if self._several == 1:
                    self._order_stores()
            if kind.group and lane.line.is_loose:
                self._take_turns(lane.line)
        return kind

    def expect(self, kinds: int) -> None:
        """Keep so many kinds that are about to come although they have no jobs yet."""
        self._kinds_limit = max(self._kinds_limit, 2 * kinds)

    def _take_turns(self, line: Line) -> None:
        """Have it known who is ready from now on, as groups take turns: who comes anew catches up on nothing."""
        if any(lane.size for lane in line.lanes):
            self._line_up({line})
        else:
            line.is_loose = False

    def _sweep(self) -> None:
        """Forget kinds of which there is no job any more, groups and gates without kinds, and turns that are past."""
        needed: set[Gate] = set()
        several, looked_at = self._several, len(self.lines)
        for values, kind in list(self._kinds.items()):
            lane = self.lanes[kind]
            if not lane.size and kind is not self.last_kind:
                del self._kinds[values], self.lanes[kind], lane.line.lanes[lane]
                self._share_no_more(lane)
                self._several -= len(lane.needs) > 1
                lane.group.size -= 1
                if not lane.group.size:
                    del lane.line.groups[lane.group.name]
            else:
                needed.update(lane.gates)
        for line in self.lines.values():
            if line.turns:
                line.turns = dict(line.dump_turns())
            looked_at += len(line.gates)
            for name, gate in list(line.gates.items()):
                if gate not in needed and gate.dump(self.newest_us) is None:
                    del line.gates[name]
        kinds = len(self._kinds)
        self._kinds_limit = max(FEW, 2 * kinds, kinds + looked_at // 8)
        if several and not self._several:
            self._order_stores()

    def _share_no_more(self, lane: Lane) -> None:
        for name, _ in lane.kind.resources:
            lanes = self.shares.get(name)
            if lanes is not None:
                del lanes[lane]
                if not lanes:
                    del self.shares[name]

    # -- coming and going -----------------------------------------------------------------------------------

    def push(self, job: Job) -> None:
        """Put a ready job at the end of its lane."""
        lane = self.lanes[job.kind]
        line, ready = lane.line, lane.ready
        if line.is_loose:
            return
        line.ready_count += 1
        if lane.behind or len(ready) >= STRETCH:
            lane.stand_behind(job)
            return
        ready.append(job)
        if len(ready) == 1:
            group = lane.group
            if line.turn and not group.busy:
                line.begin(group)
            group.busy += 1
            line.active[lane] = None
            if not self.is_past:
                line.put(lane)
                self._place(line)

    def leave(self, job: Job) -> None:
        """Note that a job is ready no more; it leaves its lane as soon as it is first there."""
        lane = self.lanes[job.kind]
        line = lane.line
        if line.is_loose:
            return
        line.ready_count -= 1
        ready = lane.ready
        if ready[0] is not job:
            return
        lane.shift()
        if not ready:
            del line.active[lane]
            lane.group.busy -= 1
            if not self.is_past:
                self._unpark(lane, back=False)
                line.take_out(lane)
                self._place(line)
                self._stir(lane)
        elif ready[0].order != job.order and not self.is_past:
            self._unpark(lane, back=False)
            line.put(lane)
            self._place(line)

    def take(self, kind: Kind, at_us: int) -> None:
        """Note that an attempt of a job of this kind begins."""
        lane = self.lanes[kind]
        line = lane.line
        if at_us < self.newest_us:
            self.set_back(at_us)
        self.newest_us = at_us
        if not (lane.gates or lane.needs or kind.group or line.is_special):
            return  # nothing counts it, and nobody waits for what it lets go
        for gate in lane.all_gates:
            gate.take(at_us)
        if lane.needs:
            self._resources.take(lane.needs)
        if kind.group:
            lane.group.running += 1
        if line.serve(lane.group):
            self._place(line)
        if self._stores and (lane.gates or line.is_special):
            self._look_who_waits(lane, at_us)
        self._stir(lane)

    def set_back(self, now_us: int) -> None:
        """Note that an attempt begins before the newest one: the clock was set back."""
        for line in self.lines.values():
            for gate in (line.gate, *line.gates.values()):
                if gate is not None:
                    gate.set_back(self.newest_us, now_us)

    def hold(self, kind: Kind) -> None:
        """Note that an attempt holds what it holds although its job is over."""
        lane = self.lanes[kind]
        lane.size += 1
        for gate in lane.all_gates:
            gate.running += 1
        if kind.group:
            lane.group.running += 1
        self._resources.take(lane.needs)

    def give(self, kind: Kind) -> None:
        """Note that an attempt has ended, and what it held is free."""
        lane = self.lanes[kind]
        line = lane.line
        if kind.group:
            lane.group.running -= 1
        if not (lane.gates or lane.needs or line.gate is not None):
            return
        for gate in lane.all_gates:
            gate.running -= 1
        if line.gate is not None and line not in self._startable:
            self._place(line)
        if lane.needs:
            self._resources.give(lane.needs)
        self._stir(lane)

    def let_go(self, kind: Kind) -> None:
        """Note that an attempt that has outlived its job has ended."""
        self.give(kind)
        self.lanes[kind].size -= 1

    # -- who is next ----------------------------------------------------------------------------------------

    def first(self, context: Context) -> Lane | None:
        """Return the lane whose first job is the next to start on a worker, or None."""
        now_us = context.now_us
        self._see_who_is_served(context)
        self.open_gates(now_us)
        while (line := self._first_startable(context)) is not None:
            if (lane := self._try(line, now_us)) is not None:
                return lane
        return None

    def lets_another(self, lane: Lane, context: Context) -> bool:
        """Whether one more of a lane may start now, whoever else is before it, unless for what it needs."""
        if not lane.ready or any(gate.opens_us(context.now_us) for gate in lane.all_gates):
            return False
        if lane.needs:
            self._try_who_waited(lane, context)
        return not lane.needs or self._may_hold(lane)

    def _try_who_waited(self, lane: Lane, context: Context) -> None:
        """Try the first lanes that need something: whoever waited was stirred by the last start of this one."""
        for line in [line for line in self._startable if serves(context, line.name)]:
            while line in self._startable and (first := line.first()) is not None and first is not lane:
                if not first.needs or self._try(line, context.now_us) is not None:
                    break

    def first_by_hand(self, line: Line, now_us: int, is_late: Callable[[Job], bool]) -> Job | None:
        """Return the job of a queue that is the next to be taken by hand, or None; who is late is passed over."""
        self.open_gates(now_us)
        found: Job | None = None
        passed: list[Lane] = []
        while found is None and (lane := self._first_of(line, now_us)) is not None:
            found = next((job for job in lane.in_order() if not is_late(job)), None)
            if found is None:
                passed.append(lane)
                line.take_out(lane)
                self._place(line)
        for lane in passed:
            line.put(lane)
        if found is None:
            self._withdraw(line)  # perhaps nobody serves it: it waits for nothing unless it is asked again
        if found is None or passed:
            self._place(line)
        return found

    def _first_of(self, line: Line, now_us: int) -> Lane | None:
        while line in self._startable:
            if (lane := self._try(line, now_us)) is not None:
                return lane
        return None

    def _first_startable(self, context: Context) -> Line | None:
        """Return the queue to be tried next: who was to be first must be tried first, or would be overtaken."""
        startable = self._startable
        first = startable.first()
        if first is None or serves(context, first.name):
            return first
        if context.served is None:
            return next((line for line in startable if serves(context, line.name)), None)
        names = (*context.served, STEPS, FIRINGS) if context.scheduling else (*context.served, STEPS)
        lines = [line for name in names if (line := self.lines.get(name)) is not None and line in startable]
        return min(lines, key=startable.key_of, default=None)

    def _try(self, line: Line, now_us: int) -> Lane | None:
        """Return the first lane of a queue if its first job may start; else park it, or the whole queue."""
        if line.gate is not None and (opens_us := line.gate.opens_us(now_us)):
            self._startable.remove(line)
            if opens_us < ONLY_BY_AN_END:
                self.opening.put(line.gate, (opens_us,))
                self._lines_of[line.gate] = line
            self._withdraw(line)
            return None
        lane = line.first()
        if lane is None or not (lane.gates or lane.needs):
            return lane
        for gate in lane.gates:
            if opens_us := gate.opens_us(now_us):
                self._park(lane, (gate,))
                if opens_us < ONLY_BY_AN_END:
                    self.opening.put(gate, (opens_us,))
                return None
        if lane.needs and not self._may_hold(lane):
            self._park(lane, tuple(self._store(name) for name, _ in lane.needs))
            return None
        return lane

    def _may_hold(self, lane: Lane) -> bool:
        """Whether its needs are free, and nobody before it waits for any of them."""
        return self._resources.are_free(lane.needs) and self.standing_before(lane) is None

    def standing_before(self, lane: Lane) -> tuple[str, Lane] | None:
        """Return of which of its needs another lane is to have some first, and that lane."""
        for name, _ in lane.needs:
            before = self._store(name).parked.before(lane)
            if before is not None:
                return name, before
        return None

    def _store(self, name: str) -> Gate:
        store = self._stores.get(name)
        if store is None:
            store = self._stores[name] = Gate(0, None, Parked(by_place=self._several > 0))
        return store

    def _order_stores(self) -> None:
        """Have those who wait for resources stand in the order of their queues, unless some wait for several."""
        for store in self._stores.values():
            store.parked.order(by_place=self._several > 0)
            self._try_first(store)

    # -- parking --------------------------------------------------------------------------------------------

    def _place(self, line: Line) -> None:
        if self.is_past:
            return
        lane = line.first()
        if lane is None or line.paused:
            self._startable.remove(line)
        else:
            self._startable.put(line, lane.place)

    def _park(self, lane: Lane, gates: tuple[Gate, ...]) -> None:
        line = lane.line
        line.take_out(lane)
        self._place(line)
        lane.parked = gates
        for gate in gates:
            first = gate.parked.first()
            gate.parked.put(lane)
            if gate.parked.first() not in (first, lane):  # its queue has another one first, who comes later
                self._try_first(gate)
        self._stir(lane, but=gates)

    def _unpark(self, lane: Lane, *, back: bool = True) -> None:
        if not lane.parked:
            return
        for gate in lane.parked:
            gate.parked.remove(lane)
            if not gate.parked:
                self.opening.remove(gate)
        lane.parked = ()
        if back:
            lane.line.put(lane)
            self._place(lane.line)

    def _stir(self, lane: Lane, *, but: tuple[Gate, ...] = ()) -> None:
        """Have the next lane tried wherever this one was before it: it started, ended, left, or is parked elsewhere."""
        for gate in lane.gates:
            if gate.parked and gate not in but and not (gate.limit and gate.running >= gate.limit):
                self._try_first(gate)
        for name, _ in lane.needs:
            store = self._store(name)
            if store not in but:
                self._try_first(store)

    def stir_resources(self, names: Iterable[str]) -> None:
        """Have the first who waits for each of some resources tried again."""
        for name in names:
            store = self._stores.get(name)
            if store is not None:
                self._try_first(store)

    def forget_resource(self, name: str) -> None:
        """Nobody waits for a resource that is there no more."""
        self._stores.pop(name, None)

    def _try_first(self, gate: Gate) -> None:
        first = gate.parked.first()
        if first is not None:
            self._unpark(first)

    def open_gates(self, now_us: int) -> None:
        """Have tried again what a gate held back until now; all, if the clock was set back (see `Gate`)."""
        if now_us < self._asked_us:
            for each in list(self.opening):
                self.opening.put(each, (now_us,))
        self._asked_us = now_us
        while (key := self.opening.first_key()) is not None and key[0] <= now_us:
            gate = self.opening.first()
            assert gate is not None
            self.opening.remove(gate)
            line = self._lines_of.pop(gate, None)
            if line is not None:
                self._place(line)
            self._try_first(gate)

    def _withdraw(self, line: Line) -> None:
        """Have a queue that cannot start anything wait for nothing: it must not keep resources from others."""
        for store in self._stores.values():
            for lane in store.parked.of(line):
                names = [name for name, _ in lane.needs]
                self._unpark(lane, back=False)
                line.put(lane)
                self.stir_resources(names)

    def _look_who_waits(self, lane: Lane, now_us: int) -> None:
        """Look again at those of a queue who wait for resources, now that one of a lane of it has started.

        Whom a gate holds back that this has closed waits before nobody, and it may be another group's turn.
        """
        line = lane.line
        if line.gate is not None and line.gate.opens_us(now_us):
            self._withdraw(line)
            self._place(line)
            return
        closed = {gate for gate in lane.gates if gate.opens_us(now_us)}
        for store in self._stores.values():
            first = store.parked.first_of(line)
            if first is not None and not closed.isdisjoint(first.gates):
                self._unpark(first)  # it is tried before those behind it, and they are when it stands aside
            elif first is not None:
                store.parked.look_at(line)
                self._try_first(store)

    def _see_who_is_served(self, context: Context) -> None:
        served = (context.served, context.scheduling)
        if served != self._served:
            self._served = served
            for store in self._stores.values():
                for lane in list(store.parked):
                    self._unpark(lane)

    # -- settings -------------------------------------------------------------------------------------------

    def pause(self, line: Line, paused: bool) -> None:  # noqa: FBT001 -- the one thing that it is about
        """Stop or go on."""
        line.paused = paused
        if paused:
            self._withdraw(line)
        self._place(line)

    def configure(self, line: Line, settings: QueueSettings, holders: Iterable[Kind]) -> None:
        """Give a queue other settings; `holders` are the kinds of the attempts that have begun and not ended.

        What a rate remembers is kept as long as that rate stays the same.
        """
        self._withdraw(line)
        for lane in line.active:
            self._unpark(lane)
        if line.gate is not None:
            self.opening.remove(line.gate)
            self._lines_of.pop(line.gate, None)
        before, memory = line.settings, line.memory(0)
        line.configure(settings)
        for lane in line.lanes:
            lane.look_at_gates()
        line.remember(
            memory[0] if before.rate == settings.rate else None,
            memory[1] if before.key_rate == settings.key_rate else [],
        )
        for kind in holders:
            if kind.queue == line.name:
                for gate in self.lanes[kind].all_gates:
                    gate.running += 1
        if not self.is_past:
            self._place_all(line)

    def begin_past(self) -> None:
        """Give nobody a place until `end_past`, and have nobody stand in a lane where no group's turn hangs on it."""
        self.is_past = True
        for line in self.lines.values():
            line.clear_places()
            line.is_loose = not (line.active or any(line.groups) or line.turn or line.turns)

    def end_past(self) -> None:
        """Give everybody a place, now that somebody will ask."""
        self._line_up({line for line in self.lines.values() if line.is_loose})
        self.is_past = False
        for line in self.lines.values():
            self._place_all(line)

    def _line_up(self, lines: set[Line]) -> None:
        """Have the ready jobs of loose queues stand in their lanes, as if they had all the time."""
        for line in lines:
            line.is_loose = False
        ready = [job for job in self._jobs.values() if job.is_ready] if lines else []
        standing: dict[Kind, list[Job]] = {}
        for kind, jobs in groupby(sorted(ready, key=_order), _kind):
            standing.setdefault(kind, []).extend(jobs)
        for kind, (first, *others) in standing.items():
            lane = self.lanes[kind]
            if lane.line in lines:
                self.push(first)
                lane.line_up(others)
                lane.line.ready_count += len(others)

    def _place_all(self, line: Line) -> None:
        for lane in line.active:
            line.put(lane)
        self._place(line)

    # -- images ---------------------------------------------------------------------------------------------

    def dump(self, since_us: int) -> Any:
        """Give what is special about queues as plain data: settings, turns, and what rates remember."""
        return [
            (
                line.name,
                msgspec.to_builtins(line.settings),
                line.turn,
                line.dump_turns(),
                line.memory(self.newest_us),
                line.dump_retries(since_us),
            )
            for line in self.lines.values()
            if line.settings != PLAIN or line.turns or line.turn
        ]

    def restore(self, image: Any, holders: Iterable[Kind]) -> None:
        """Have queues special again; their lines and lanes are there, and empty of ready jobs."""
        of_queues: dict[str, list[Kind]] = {}
        for kind in holders:
            of_queues.setdefault(kind.queue, []).append(kind)
        for name, settings, _, turns, memory, retries in image:
            line = self.line(name)
            line.turns = dict(turns)
            self.configure(line, _SETTINGS(settings), of_queues.get(name, ()))
            line.remember(*memory)
            line.retries = dict(retries)

    def restore_turns(self, image: Any) -> None:
        """Say which turn it is: once all ready jobs are back, none of which comes anew."""
        for name, _, turn, *_ in image:
            self.line(name).turn = turn
