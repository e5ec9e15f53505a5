"""When snapshots are taken."""

from __future__ import annotations

import pytest

from actors.runtime.keeper import Keeper, SnapshotPolicy
from eventstore.errors import StoreError
from eventstore.memory_log import MemoryLog

POLICY = SnapshotPolicy(events=1_000, least_events=100, seconds=600.0, pause_s=30.0)


@pytest.mark.parametrize(
    ("events", "waited_s", "due"),
    [
        (1_000, 30.0, True),  # by count
        (999, 599.0, False),
        (100, 600.0, True),  # by time
        (99, 1e9, False),  # not worth one
        (10**9, 29.9, False),  # not again so soon
    ],
)
def test_a_snapshot_is_due_by_count_and_by_time(events: int, waited_s: float, due: bool) -> None:
    assert POLICY.is_due(events, waited_s) is due


class Camera:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.taken = 0
        self.busy = False
        self.fails = False

    def take(self, upto: int) -> None:
        if self.fails:
            raise OSError(11, "Resource temporarily unavailable")
        self.asked.append(upto)

    def close(self) -> None:
        self.busy = False


def test_the_next_one_counts_from_the_newest_and_waits_for_the_one_under_way() -> None:
    camera, watermark = Camera(), [5_000]
    keeper = Keeper(MemoryLog(), lambda: watermark[0], camera)
    keeper.policy, keeper.position = POLICY, 4_500
    begin_s = keeper._asked_s
    keeper.look(begin_s + 31)
    watermark[0] = 5_500
    keeper.look(begin_s + 32)
    keeper.look(begin_s + 40)
    assert camera.asked == [5_500]
    watermark[0], camera.busy = 9_000, True
    keeper.look(begin_s + 90)
    assert camera.asked == [5_500]
    assert keeper.is_behind
    camera.busy, camera.taken = False, 5_500
    keeper.look(begin_s + 91)
    assert camera.asked == [5_500, 9_000]
    assert keeper.position == 5_500
    assert keeper.is_behind


def test_a_snapshot_that_came_to_nothing_is_none_and_is_not_tried_again_before_its_turn() -> None:
    """Else the engine would close without one, as if it were there."""
    camera, watermark = Camera(), [1_000]
    keeper = Keeper(MemoryLog(), lambda: watermark[0], camera)
    keeper.policy, begin_s = POLICY, keeper._asked_s
    keeper.look(begin_s + 31)
    keeper.look(begin_s + 100)
    assert camera.asked == [1_000]
    assert keeper.is_behind
    camera.taken = 1_000
    assert not keeper.is_behind
    watermark[0] = 2_000
    keeper.look(begin_s + 101)
    assert camera.asked == [1_000, 2_000]


def test_a_snapshot_that_cannot_be_begun_is_not_tried_every_second(caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera()
    keeper = Keeper(MemoryLog(), lambda: 1_000, camera)
    keeper.policy, camera.fails, begin_s = POLICY, True, keeper._asked_s
    for second in range(31, 61):
        keeper.look(begin_s + second)
    assert caplog.text.count("looked after") == 1


def test_f22_whatever_goes_wrong_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryLog):
        def tend(self) -> None:
            raise StoreError("nothing goes")

    camera = Camera()
    keeper = Keeper(MemoryLog(), lambda: 1_000, camera)
    keeper.policy, camera.fails = POLICY, True
    keeper.look(keeper._asked_s + 31)
    camera.fails = False
    keeper.look(keeper._asked_s + 31)
    assert camera.asked == [1_000]
    keeper = Keeper(Broken(), lambda: 0, None)
    for second in range(3):
        keeper.look(second)
    assert caplog.text.count("looked after") == 2, "of what lasts it is said once"
