"""What is refused, and in which words: a table of expressions and definitions whose texts were read and found good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock.zones import tzdata_version
from logistics import (
    CronError,
    CronExpression,
    LogisticsError,
    OrchestrationEngine,
    RecurringSchedule,
    ScheduleManager,
)

TABLES = Path(__file__).parent / "refused"
CRON: list[list[str]] = json.loads((TABLES / "cron.json").read_text(encoding="utf-8"))
RECURRING: list[list[Any]] = json.loads((TABLES / "recurring.json").read_text(encoding="utf-8"))

OPTIONS: list[list[Any]] = json.loads((TABLES / "options.json").read_text(encoding="utf-8"))


def test_the_tables_are_long() -> None:
    assert len(CRON) + len(RECURRING) + len(OPTIONS) >= 300


@pytest.mark.parametrize(("text", "words"), CRON, ids=range(len(CRON)))
def test_an_expression_is_refused_in_these_words(text: str, words: str) -> None:
    with pytest.raises(CronError) as refused:
        CronExpression(text, hash_name="name")
    assert str(refused.value) == words


@pytest.mark.parametrize(("way", "arguments", "words"), RECURRING, ids=range(len(RECURRING)))
def test_a_definition_is_refused_in_these_words(way: str, arguments: Any, words: str) -> None:
    with pytest.raises(LogisticsError) as refused:
        getattr(RecurringSchedule, way)(**arguments)
    assert isinstance(refused.value, ValueError)
    assert str(refused.value).replace(f"release {tzdata_version()}", "this release") == words


@pytest.fixture(scope="module")
def manager() -> Iterator[ScheduleManager]:
    with OrchestrationEngine(":memory:") as engine:
        yield ScheduleManager(engine=engine)


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=range(len(OPTIONS)))
def test_an_option_is_refused_in_these_words(
    manager: ScheduleManager, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(LogisticsError) as refused:
        manager.schedule_cron("a", "0 * * * *", test_the_tables_are_long, **options)
    assert isinstance(refused.value, ValueError)
    assert str(refused.value).replace(f"release {tzdata_version()}", "this release") == words
    assert manager.list_tasks() == []
