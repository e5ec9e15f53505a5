"""The scheduler's state under random lives: what the log gives is what lived, and nothing fires twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.schedule.agenda import SLACK, Agenda
from actors.schedule.firing import next_fire
from actors.schedule.messages import (
    CATCH_UPS,
    OVERLAPS,
    SCHEDULE_EVENTS,
    JobTemplate,
    PauseSchedule,
    Policies,
    RemoveSchedule,
    ResumeSchedule,
    ScheduleClosed,
    ScheduleDeferred,
    ScheduleFired,
    SchedulePaused,
    ScheduleSkipped,
    TriggerSchedule,
)
from actors.schedule.missed import count_fires
from actors.schedule.spec import CalendarSpec, CronSpec, Firing, IntervalSpec, ScheduleSpec
from actors.schedule.state import Schedule
from tests.actors.schedule.world import DAY, HOUR, MINUTE, SECOND, START, World, at, folded, through_image
from tests.support.scale import scaled

BEFORE_GAP = at("2026-03-28T20:00")
BEFORE_FOLD = at("2026-10-24T20:00")

SPECS: tuple[ScheduleSpec, ...] = (
    CronSpec("*/10 * * * *", timezone="Europe/Berlin"),
    CronSpec("30 2 * * *", timezone="Europe/Berlin"),
    CronSpec("15,45 1-3 * * *", timezone="Europe/Berlin", gap="preserve_offset", fold="both"),
    CronSpec("*/20 * * * * *", timezone="UTC", seconds="first"),
    IntervalSpec(1800, 9 * 3600, 17 * 3600, timezone="America/New_York"),
    CalendarSpec("weekly", (0, 7200), timezone="Australia/Lord_Howe", weekdays=(0, 6)),
)
NAMES = st.sampled_from(("a", "b"))
STEPS = st.sampled_from((0, SECOND, 19 * SECOND, MINUTE, 10 * MINUTE, HOUR, 7 * HOUR, 3 * DAY, 40 * DAY))


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "catch_up": draw(st.sampled_from(CATCH_UPS)),
        "overlap": draw(st.sampled_from(OVERLAPS)),
        "limit": draw(st.integers(1, 4)),
        "window_us": draw(st.sampled_from((None, MINUTE, HOUR))),
        "start_us": draw(st.sampled_from((None, START + HOUR, BEFORE_GAP + HOUR))),
        "end_us": draw(st.sampled_from((None, BEFORE_FOLD + 8 * HOUR))),
        "max_runs": draw(st.sampled_from((None, 2, 50))),
    }


class Accountant:
    """Follows one world's events and holds each against the schedule's own instants."""

    def __init__(self) -> None:
        self.fired: set[str] = set()

    def look(
        self,
        world: World,
        before: dict[str, tuple[Schedule, int, set[int]]],
        paused: set[str],
        events: list[Any],
    ) -> None:
        cursors = {name: (schedule, cursor) for name, (schedule, cursor, _) in before.items()}
        waiting = {name: waits for name, (_, _, waits) in before.items()}
        for event in events:
            if isinstance(event, ScheduleFired):
                assert world.scheduling
                assert event.job_id not in self.fired
                assert event.fired_us == world.now_us
                self.fired.add(event.job_id)
            if isinstance(event, ScheduleFired) and event.scheduled_us in waiting[event.name]:
                waiting[event.name].remove(event.scheduled_us)  # it was due, whatever the clock says now
            elif isinstance(event, ScheduleSkipped) and event.reason == "dropped":
                waiting[event.name].remove(event.upto_us)
            elif isinstance(event, ScheduleFired | ScheduleDeferred | ScheduleSkipped):
                assert event.name not in paused
                cursors[event.name] = self._moved(*cursors[event.name], event)
            if isinstance(event, SchedulePaused):  # what was due before is passed over first
                paused.add(event.name)
            if isinstance(event, ScheduleDeferred):
                waiting[event.name].add(event.scheduled_us)

    def _moved(self, schedule: Schedule, cursor_us: int, event: Any) -> tuple[Schedule, int]:
        """Every instant that the cursor passes is accounted for, none twice, and none was invented."""
        skipped = isinstance(event, ScheduleSkipped)
        upto_us = event.upto_us if skipped else event.scheduled_us
        event_us = event.fired_us if isinstance(event, ScheduleFired) else event.at_us
        count = event.count if skipped else event.missed + 1
        assert cursor_us < upto_us <= event_us
        assert count == count_fires(schedule.spec, cursor_us, upto_us)
        exact = next_fire(schedule.spec, upto_us - 1)
        assert exact is not None
        assert exact.at_us == upto_us
        assert schedule.policies.end_us is None or upto_us <= schedule.policies.end_us
        if isinstance(event, ScheduleFired):
            assert event.rule == exact.rule
        return schedule, upto_us


class Lives(RuleBasedStateMachine):
    """Callers, clocks, jobs and crashes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.accountant = Accountant()
        self.triggers = 0

    @initialize(now_us=st.sampled_from((START, BEFORE_GAP, BEFORE_FOLD)))
    def begin(self, now_us: int) -> None:
        self.world.now_us = now_us

    def act(self, what: Any) -> None:
        """Settle what is due first: what an action itself then leads to is simple to follow."""
        self.watched(self.world.settle)
        self.watched(what)

    def watched(self, what: Any) -> None:
        world = self.world
        before = {
            name: (schedule, schedule.cursor_us, {each.scheduled_us for each in schedule.waiting})
            for name, schedule in world.state.schedules.items()
        }
        paused = {name for name, schedule in world.state.schedules.items() if schedule.paused}
        known = len(world.log)
        what()
        events = world.log[known:]
        if events and type(events[0]).__name__ in {"SchedulePut", "ScheduleResumed"}:
            schedule = world.state.schedules[events[0].name]  # type: ignore[attr-defined]
            assert schedule.cursor_us >= world.now_us
            return
        self.accountant.look(world, before, paused, events)

    @rule(name=NAMES, spec=st.sampled_from(SPECS), function=st.sampled_from(("f", "g")), options=policies())
    def put(self, name: str, spec: ScheduleSpec, function: str, options: dict[str, Any]) -> None:
        self.act(lambda: self.world.put(name, spec, JobTemplate(function, b""), **options))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.act(lambda: self.world.send(RemoveSchedule(name=name)))

    @precondition(lambda self: self.world.state.schedules)
    @rule(data=st.data(), how=st.sampled_from((PauseSchedule, ResumeSchedule)))
    def pause_or_resume(self, data: st.DataObject, how: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.state.schedules)))
        self.act(lambda: self.world.send(how(name=name)))

    @precondition(lambda self: self.world.state.schedules)
    @rule(data=st.data())
    def trigger(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.state.schedules)))
        self.triggers += 1
        trigger = TriggerSchedule(name=name, trigger_id=f"t{self.triggers}")
        self.act(lambda: self.world.send(trigger))

    @precondition(lambda self: self.world.state.firings)
    @rule(data=st.data(), status=st.sampled_from(("COMPLETED", "FAILED", "CANCELLED")))
    def job_ends(self, data: st.DataObject, status: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.world.state.firings)))
        self.act(lambda: self.world.end(job_id, status))

    @rule(by_us=STEPS)
    def pass_time(self, by_us: int) -> None:
        self.watched(lambda: self.world.pass_time(by_us))

    @rule(by_us=STEPS)
    def set_back(self, by_us: int) -> None:
        self.watched(lambda: self.world.pass_time(-by_us))

    @precondition(lambda self: (self.world.wake_us or 0) > self.world.now_us)
    @rule()
    def wake(self) -> None:
        self.watched(self.world.wake)

    @rule()
    def start_or_stop(self) -> None:
        self.world.scheduling = not self.world.scheduling

    @rule()
    def restart(self) -> None:
        asked = self.world.restart()
        assert sorted(asked) == sorted(self.world.state.firings)

    @rule()
    def restore(self) -> None:
        self.world.state = through_image(self.world.state)

    @invariant()
    def the_log_gives_the_live_state(self) -> None:
        self.world.check()

    @invariant()
    def what_ended_is_owed_no_more_and_nothing_else(self) -> None:
        log = self.world.log
        begun = {event.job_id for event in log if hasattr(event, "job_id")}
        ended = {event.job_id for event in log if isinstance(event, ScheduleClosed)}
        assert set(self.world.state.firings) == begun - ended == set(self.world.jobs) - ended

    @invariant()
    def the_limits_of_the_policies_are_kept(self) -> None:
        for schedule in self.world.state.schedules.values():
            rules: Policies = schedule.policies
            most = {"queue": 1, "queue_all": rules.limit}.get(rules.overlap, 0)
            assert len(schedule.waiting) <= most
            assert rules.max_runs is None or schedule.runs + len(schedule.waiting) <= rules.max_runs
            jobs = [job for job in self.world.state.open_jobs(schedule) if not job.startswith("t")]
            if rules.overlap in {"skip", "queue", "queue_all"}:
                assert len(jobs) <= 1
            if rules.overlap == "cancel_previous":
                assert sum(not self.world.state.firings[job].unwanted for job in jobs) <= 1


TestLives = Lives.TestCase
Lives.TestCase.settings = settings(
    max_examples=scaled("lives", 60), stateful_step_count=scaled("life_steps", 40), deadline=None
)


def test_every_event_has_a_handler() -> None:
    assert set(World().state.handlers) == set(SCHEDULE_EVENTS)


def test_ended_jobs_are_kept_until_their_end_is_durable() -> None:
    world = World()
    world.put()
    world.wake()
    (job_id,) = world.state.firings
    world.end(job_id)
    assert list(world.state.retired) == [job_id]
    ended = world.state.take_retired()
    assert [name for name, _ in ended] == [job_id]
    assert world.state.take_retired() == []
    world.state.forget(ended)
    assert not world.state.retired


def test_open_jobs_of_one_definition_share_one_target() -> None:
    world = World()
    world.put(overlap="allow")
    for _ in range(3):
        world.wake()
    for state in (folded(world.log), through_image(world.state)):
        assert len({id(firing.target) for firing in state.firings.values()}) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50) | st.none()), max_size=60))
def test_the_agenda_knows_the_earliest_of_what_was_noted_last(notes: list[tuple[str, int | None]]) -> None:
    agenda = Agenda()
    known: dict[str, int] = {}
    for name, at_us in notes:
        agenda.invalidate(name)
        known.pop(name, None)
        if at_us is not None:
            known[name] = at_us
            agenda.note(name, Firing(at_us, ""), at_us)
        assert agenda.first_us() == min(known.values(), default=None)
    due = agenda.take_due(25)
    expected = sorted((at_us, name) for name, at_us in known.items() if at_us <= 25)
    assert [(firing.at_us, name) for name, firing in due] == expected
    assert agenda.first_us() == min((at_us for at_us in known.values() if at_us > 25), default=None)


def test_the_agenda_does_not_grow_with_what_is_outdated() -> None:
    agenda = Agenda()
    for at_us in range(10_000, 0, -1):
        agenda.invalidate("a")
        agenda.note("a", Firing(at_us, ""), at_us)
    assert len(agenda._heap) <= SLACK + 3
    assert agenda.first_us() == 1
