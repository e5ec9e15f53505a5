"""The cache of frames: one decode however many ask, and never much memory."""

from __future__ import annotations

from threading import Barrier, Thread

from eventstore.frame_cache import FrameCache
from eventstore.framing import encode_frame
from eventstore.records import Frame, Head
from tests.eventstore.support import record


def frame(first: int, size: int = 10) -> Frame:
    records = [record(f"job:{n}") for n in range(size)]
    made, _ = encode_frame(records, head=Head(first - 1, 1, bytes(32), 0), epoch=1, recorded_us=0)
    return made


def never(position: int) -> tuple[Frame, int]:
    raise AssertionError(position)


def test_a_frame_is_found_by_each_of_its_positions() -> None:
    cache, kept = FrameCache(), frame(11)
    cache.add(frame(1), 100)
    cache.add(kept, 100)
    assert all(cache.get(position, never) is kept for position in range(11, 21))


def test_many_threads_cause_one_load() -> None:
    cache, loads, barrier = FrameCache(), list[int](), Barrier(8)

    def load(position: int) -> tuple[Frame, int]:
        loads.append(position)
        return frame(1), 100

    def ask() -> None:
        barrier.wait()
        for position in range(1, 11):
            cache.get(position, load)

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


def test_who_waited_for_another_load_does_not_load_again() -> None:
    cache, kept = FrameCache(), frame(1)
    cache.add(kept, 100)
    assert cache._load(5, never) is kept


def test_the_number_of_frames_is_bounded_and_the_oldest_goes() -> None:
    cache, reloaded = FrameCache(max_frames=3), frame(1)
    for first in (1, 11, 21, 31):
        cache.add(frame(first), 1)
    assert all(cache.get(first, never) for first in (11, 21, 31))
    assert cache.get(1, lambda _: (reloaded, 1)) is reloaded


def test_large_frames_push_out_others_but_the_newest_is_kept() -> None:
    cache, reloads = FrameCache(max_frames=4, max_bytes=100), list[int]()

    def load(position: int) -> tuple[Frame, int]:
        reloads.append(position)
        return frame(position), 1

    cache.add(frame(1), 10)
    cache.add(frame(11), 1000)
    assert cache.get(11, never).first == 11
    cache.get(1, load)
    assert reloads == [1]
    cache.add(frame(21), 50)
    assert cache.get(1, never).first == 1
    cache.get(11, load)
    assert reloads == [1, 11]


def test_a_frame_that_is_loaded_twice_counts_once() -> None:
    cache = FrameCache(max_frames=2, max_bytes=100)
    for _ in range(5):
        cache.add(frame(1), 60)
    cache.add(frame(11), 40)
    assert cache.get(1, never).first == 1
    assert cache.get(11, never).first == 11


def test_a_frame_in_use_is_not_pushed_out_by_those_written_meanwhile() -> None:
    cache, kept = FrameCache(max_frames=4), frame(1)
    cache.add(kept, 100)
    for number in range(1, 20):
        cache.add(frame(1 + 10 * number), 100)
        assert cache.get(1, never) is kept
