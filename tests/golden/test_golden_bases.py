"""A store whose beginning was forgotten long ago is what it was: its states are all that tells of that time."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.runtime.fingerprint import fingerprint
from eventstore.errors import CompactedError
from eventstore.lmdb_log import LmdbLog
from logistics.audit.store_reader import StoreReader
from logistics.orchestration.engine import OrchestrationEngine
from tests.golden.bases import HISTORIES, RULES, Base, golden, make, present
from tests.golden.test_golden_history import VIEWS, views

BASES = golden()
HOW = "run `python -m tests.golden.bases` and commit the file that it adds; never change or remove one"
each_base = pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)


def again(base: Base) -> dict[str, Any]:
    """Return the images of the states that today's code makes of a base."""
    return {
        rules.name: msgspec.msgpack.decode(
            msgspec.msgpack.encode(rules.restore(base.image(rules.name)).dump())
        )
        for rules in RULES
    }


def altered(base: Base, actor: str, image: Any) -> Base:
    """Return a base with another image of one state."""
    states = {**base.states, actor: bytes(len(fingerprint())) + msgspec.msgpack.encode(image)}
    return base._replace(states=states)


@each_base
def test_a_state_of_long_ago_is_what_a_fold_of_today_gives(base: Base) -> None:
    today = present(base.history)
    assert today.position == base.position
    assert again(base) == {name: today.image(name) for name in today.states}


@pytest.mark.parametrize("history", HISTORIES)
def test_the_image_of_a_state_as_it_is_today_has_a_golden_file(history: str) -> None:
    newest, today = golden(history)[-1], present(history)
    for name in today.states:
        assert newest.image(name) == today.image(name), f"the image of {name!r} has changed: {HOW}"


@each_base
def test_an_engine_opens_on_states_of_long_ago(
    base: Base, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(base, tmp_path / "store")
    with LmdbLog.open(tmp_path / "store", read_only=True) as log:
        assert log.horizon.head.position == base.position
    with caplog.at_level(logging.WARNING, "logistics"), OrchestrationEngine(tmp_path / "store") as engine:
        assert engine.health_check()
    assert "does not fit" not in caplog.text


def test_what_is_to_be_seen_in_such_a_store_is_what_was_seen_before_it_was_compacted(tmp_path: Path) -> None:
    make(golden("history")[0], tmp_path / "store")
    expected = json.loads(VIEWS.read_text(encoding="utf-8"))[-1]
    with StoreReader(tmp_path / "store") as reader:
        assert json.loads(json.dumps(views(reader._whole, expected["position"]))) == expected


def test_a_state_that_has_another_meaning_is_found() -> None:
    base = golden("history")[-1]
    image = base.image("queue")
    image["lines"][0][1] = not image["lines"][0][1]  # a queue that was paused
    assert again(altered(base, "queue", image)) != again(base)


def test_a_state_that_cannot_be_read_any_more_is_found(tmp_path: Path) -> None:
    base = golden("history")[-1]
    image = base.image("queue")
    del image["lines"]
    make(altered(base, "queue", image), tmp_path / "store")
    with pytest.raises(CompactedError, match="was compacted"), OrchestrationEngine(tmp_path / "store"):
        pass
