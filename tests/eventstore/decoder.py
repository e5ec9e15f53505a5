"""A reader of stores, written from `docs/log_format.md` alone: nothing of this project is imported."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import lmdb
import msgspec


def number(data: bytes, *, signed: bool = False) -> int:
    return int.from_bytes(data, "big", signed=signed)


def read_store(folder: Path) -> dict[str, Any]:
    """Return all that a store holds, each checksum and link checked."""
    marker = json.loads((folder / "STORE").read_text(encoding="utf-8"))
    assert marker["format"] == 3
    with (
        lmdb.open(str(folder), readonly=True, lock=False, max_dbs=4, lib_version=0) as environment,
        environment.begin() as transaction,
    ):
        names = (b"frames", b"segments", b"about")
        table, index, about = (environment.open_db(name, transaction, create=False) for name in names)
        known = dict(transaction.cursor(about))
        assert known[b"store_id"].decode() == marker["store_id"]
        ledger = read_ledger(known.get(b"ledger"))
        bases = {name: unsealed(known[f"base:{name}".encode()]) for name in ledger["bases"]}
        frames, remnants = read_frames(list(transaction.cursor(table)), ledger["head"])
        segments = read_segments(list(transaction.cursor(index)), ledger["retired"])
    return {
        "store_id": marker["store_id"],
        "frames": frames,
        "segments": segments,
        "remnants": remnants,
        "bases": bases,
        "horizon": ledger["head"][0],
    }


def unsealed(value: bytes) -> bytes:
    assert value[0] == 2
    assert number(value[1:5]) == crc32(value[5:])
    return value[5:]


def read_ledger(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"head": [0, 0, bytes(32), -(2**63)], "bases": [], "shed": 0, "retired": []}
    (head, _archive), bases, shed, retired = msgspec.msgpack.decode(unsealed(value))
    return {"head": head, "bases": bases, "shed": shed, "retired": retired}


def read_frames(
    rows: list[tuple[bytes, bytes]], horizon: list[Any]
) -> tuple[list[dict[str, Any]], dict[int, Any]]:
    frames: list[dict[str, Any]] = []
    remnants: dict[int, Any] = {}
    position, epoch, previous, time = horizon
    expected = position + 1
    for key, value in rows:
        if value[0] == 2:
            _, positions, records = msgspec.msgpack.decode(unsealed(value))
            remnants |= zip(positions, records, strict=True)
            continue
        if number(key) <= position:
            continue  # still to be taken out
        assert value[0:2] == b"\x01\x00"
        assert number(value[2:6]) == crc32(value[6:])
        assert len(value) == 70 + number(value[6:10])
        assert value[10:18] == key
        frame: dict[str, Any] = {
            "first": number(value[10:18]),
            "epoch": number(value[18:26]),
            "recorded_us": number(value[26:34], signed=True),
            "link": sha256(value).hexdigest(),
            "records": [
                {
                    "entity": entity,
                    "version": version,
                    "cause": cause,
                    "correlation": correlation,
                    "payload": msgspec.msgpack.decode(payload),
                }
                for entity, version, cause, correlation, payload in msgspec.msgpack.decode(value[70:])
            ],
        }
        assert value[38:70] == previous
        assert frame["first"] == expected
        assert len(frame["records"]) == number(value[34:38]) >= 1
        assert frame["epoch"] >= epoch
        assert frame["recorded_us"] >= time
        frames.append(frame)
        expected, previous = expected + len(frame["records"]), bytes.fromhex(frame["link"])
        epoch, time = frame["epoch"], frame["recorded_us"]
    return frames, remnants


def read_segments(rows: list[tuple[bytes, bytes]], retired: list[int]) -> list[dict[str, Any]]:
    segments: dict[int, dict[str, Any]] = {}
    for key, value in rows:
        segment, block = number(key[:4]), number(key[4:])
        if segment in retired:
            continue
        assert number(value[:4]) == crc32(key + value[4:])
        content = msgspec.msgpack.decode(value[4:])
        if block == 0:
            first, last, kinds, fences, bloom = content
            segments[segment] = {
                "first": first,
                "last": last,
                "kinds": kinds,
                "fences": fences,
                "filter": bloom,
                "entities": {},
            }
            continue
        found = segments[segment]
        assert content[0][0] == found["fences"][block - 1]
        for entity, positions in content:
            assert all(is_set(found["filter"], probe) for probe in probes(entity))
            assert entity.partition(":")[0] in found["kinds"]
            found["entities"][entity] = positions
    in_order = sorted(segments.values(), key=lambda each: int(each["first"]))
    covered = 0
    for each in in_order:
        assert each["first"] == covered + 1
        covered = each["last"]
        assert list(each["entities"]) == sorted(each["entities"])
    return in_order


def probes(entity: str) -> tuple[int, int]:
    one = crc32(entity.encode())
    return one, one * 0x9E3779B1 // 256 % 2**32


def is_set(bloom: bytes, probe: int) -> bool:
    bit = probe % (8 * len(bloom))
    return bool(bloom[bit // 8] >> bit % 8 & 1)


def read_snapshot(content: bytes) -> dict[str, Any]:
    assert content[:2] == b"\x01\x00"
    assert number(content[2:6]) == crc32(content[6:])
    return {
        "position": number(content[6:14]),
        "head": (
            number(content[14:22]),
            number(content[22:30]),
            content[30:62].hex(),
            number(content[62:70], signed=True),
        ),
        "data": content[70:],
    }


def read_export(lines: list[bytes]) -> list[str]:
    """Return the links of an export's frames, built anew from its lines."""
    header, *events = map(json.loads, lines)
    assert header["logistics_export"] == 1
    links: list[str] = []
    frame: list[dict[str, Any]] = []
    for event in events:
        frame.append(event)
        if not event["link"]:
            continue
        body = msgspec.msgpack.encode(
            [
                [
                    each["entity"],
                    each["version"],
                    each["cause"],
                    each["correlation"],
                    unbase64(each["payload"]),
                ]
                for each in frame
            ]
        )
        previous = bytes.fromhex(links[-1]) if links else bytes(32)
        sealed = b"".join(
            (
                len(body).to_bytes(4, "big"),
                frame[0]["frame"].to_bytes(8, "big"),
                event["epoch"].to_bytes(8, "big"),
                event["recorded_us"].to_bytes(8, "big", signed=True),
                len(frame).to_bytes(4, "big"),
                previous,
                body,
            )
        )
        links.append(sha256(b"\x01\x00" + crc32(sealed).to_bytes(4, "big") + sealed).hexdigest())
        assert links[-1] == event["link"]
        frame = []
    return links


def unbase64(text: str) -> bytes:
    decoded: bytes = msgspec.convert(text, bytes)
    return decoded
