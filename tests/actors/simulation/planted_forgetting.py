"""Bugs against what must not be forgotten, each as a small change: the simulation must find them all."""

from __future__ import annotations

from typing import Any

from actors.forgetting import compacted
from actors.retention import Survey
from actors.runtime.engine import Runtime
from actors.simulation.forgetting import ForgettingWorld
from eventstore.records import Record
from eventstore.retention import Compaction


class ForgetsTheLiving(Survey):
    """What an actor's state names is dropped as if it were over."""

    def live_in(self, image: Any) -> None:
        pass


class ForgetsJobsOfOpenRuns(Survey):
    """R8: a job that has ended is forgotten though its run may ask for it again, and then makes it again."""

    def story_of(self, record: Record) -> str:
        return record.entity

    def live_in(self, image: Any) -> None:
        if isinstance(image, dict) and "jobs" in image:  # those that the queue itself still knows
            super().live_in(image)


class ForgetsWhatCameLater(Survey):
    """What was taken up again behind the horizon loses its beginning."""

    def go_on(self, record: Record) -> None:
        pass


def forget_without_looking(runtime: Runtime, plan: Compaction) -> bool:
    """Carry a plan out though something stands against it by now."""
    runtime.record(compacted(plan, runtime.clock.now_us()))
    runtime.log.compact(plan)
    return True


def with_survey(survey: type[Survey]) -> type[ForgettingWorld]:
    """Return worlds that find out in another way what may be forgotten."""
    return type("PlantedWorld", (ForgettingWorld,), {"survey_type": survey})


PLANTED_FORGETTING: dict[str, type[ForgettingWorld]] = {
    "what lives is forgotten": with_survey(ForgetsTheLiving),
    "jobs of open runs are forgotten": with_survey(ForgetsJobsOfOpenRuns),
    "what came later does not count": with_survey(ForgetsWhatCameLater),
    "an old plan is carried out as it is": type(
        "PlantedWorld", (ForgettingWorld,), {"forget": staticmethod(forget_without_looking)}
    ),
}
