"""The page about the bytes is true: a decoder written from it alone reads a store of long ago, and one of now.

`python -m tests.eventstore.test_log_format` makes the golden store; do that only for a new format, beside the old one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eventstore.lmdb_log import LmdbLog
from eventstore.retention import Compaction, Horizon
from logistics.audit.exchange import export_lines
from logistics.audit.store_reader import StoreReader
from tests.eventstore.decoder import read_export, read_snapshot, read_store
from tests.eventstore.support import append, record

GOLDEN = Path(__file__).parent / "golden" / "format_3"


def build(path: Path) -> None:
    with LmdbLog.open(path, segment_records=10) as log:
        for n in range(12):
            append(
                log,
                f"job:{n}",
                "job:1",
                f"run:ü{n % 3}",
                epoch=1 + n // 6,
                recorded_us=1_767_225_600_000_000 + n,
            )
        long = record("job:long", "long " * 1000, number=-(2**40))
        log.append([long], expected=36, epoch=2, recorded_us=1_767_225_600_000_012)
        log.save_snapshot("a name", 30, b"some state")


def test_the_golden_store_says_what_it_has_always_said() -> None:
    expected = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
    found = read_store(GOLDEN)
    assert {"store_id": found["store_id"], "frames": found["frames"]} == expected


def test_the_code_of_today_reads_the_golden_store_as_the_decoder_does(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "store")
    same(tmp_path / "store")


def test_a_store_of_today_is_as_the_page_says(tmp_path: Path) -> None:
    build(tmp_path / "store")
    same(tmp_path / "store")
    (snapshot,) = (tmp_path / "store" / "snapshots").iterdir()
    assert snapshot.name == f"a%20name.{30:020}.snapshot"
    with LmdbLog.open(tmp_path / "store", read_only=True) as log:
        head = log.head
        assert read_snapshot(snapshot.read_bytes()) == {
            "position": 30,
            "head": (head.position, head.epoch, head.link.hex(), head.recorded_us),
            "data": b"some state",
        }
        assert list(log.load_snapshots("a name")) == [(30, b"some state")]


@pytest.mark.parametrize("settled", [True, False])
def test_a_store_that_was_compacted_is_as_the_page_says(tmp_path: Path, *, settled: bool) -> None:
    build(tmp_path / "store")
    with LmdbLog.open(tmp_path / "store", segment_records=10) as log:
        kept = [stored.position for stored in log.history("job:1", upto=30)]
        (frame,) = log.frames(after=29, upto=30)
        horizon = Horizon(frame.head, "archive")
        log.compact(Compaction(horizon, [("job:1", kept)], {"queue": b"a state"}, log.head.position))
        while settled and log.tidy():
            pass
        whole = list(log.frames(after=30))
    found = read_store(tmp_path / "store")
    assert (found["horizon"], found["bases"]) == (30, {"queue": b"a state"})
    assert [each["link"] for each in found["frames"]] == [frame.link.hex() for frame in whole]
    if settled:
        assert {position: fields[0] for position, fields in found["remnants"].items()} == dict.fromkeys(
            kept, "job:1"
        )
    for segment in found["segments"]:
        assert set(segment["entities"]) <= {"job:1"} or segment["last"] > 30


def same(store: Path) -> None:
    """See that code and decoder find the same frames, index and export."""
    found = read_store(store)
    with StoreReader(store) as reader:
        assert read_export(list(export_lines(reader))) == [frame["link"] for frame in found["frames"]]
    with LmdbLog.open(store, read_only=True) as log:
        frames = list(log.frames())
        assert [(frame.first, frame.epoch, frame.recorded_us, frame.link.hex()) for frame in frames] == [
            (each["first"], each["epoch"], each["recorded_us"], each["link"]) for each in found["frames"]
        ]
        assert [record.entity for frame in frames for record in frame.records] == [
            each["entity"] for frame in found["frames"] for each in frame["records"]
        ]
        for segment in found["segments"]:
            for entity, positions in segment["entities"].items():
                assert set(positions) <= {stored.position for stored in log.history(entity)}
        assert len(found["segments"]) > 1


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.parent.mkdir(exist_ok=True)
    build(GOLDEN)
    for name in ("lock.mdb", "owner.lock", "high_water.json"):
        (GOLDEN / name).unlink()
    shutil.rmtree(GOLDEN / "snapshots")
    told = read_store(GOLDEN)
    text = json.dumps({"store_id": told["store_id"], "frames": told["frames"]}, indent=1, ensure_ascii=False)
    (GOLDEN / "expected.json").write_text(text + "\n", encoding="utf-8")
