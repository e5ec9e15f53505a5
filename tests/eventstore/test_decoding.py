"""Types are made by one thread at a time: of two that meet a type at once, neither reads what is half made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.logistics.orchestration.children import ROOT

pytestmark = pytest.mark.no_cover

SCRIPT = """
import sys
from threading import Event, Thread
from typing import NamedTuple, TypedDict
from dataclasses import dataclass
import msgspec
from actors.runtime.values import convert_call, decode_value, encode_result
from eventstore.decoding import converter, json_decoder, msgpack_decoder

begun = Event()
other = Thread()

def asked():
    '''What msgspec looks at while it makes Outer, which it has hung up already.'''
    if not begun.is_set():
        begun.set()
        other.start()
        other.join(0.1)  # where there is a lock it waits for us
    return int

{decorator}class Inner({base}):
    number: "asked()"

{decorator}class Outer({base}):
    inner: Inner
    last: "int"

def job(outer: Outer) -> Outer:
    return outer

VALUE = {value}
FOUND = []

def meet():
    FOUND.append({meet})

other = Thread(target=meet)
meet()
other.join()
assert begun.is_set() and len(FOUND) == 2, FOUND
"""
KINDS = {
    "struct": ("", "msgspec.Struct", {"inner": {"number": 1}, "last": 2}),
    "dataclass": ("@dataclass\n", "object", {"inner": {"number": 1}, "last": 2}),
    "named tuple": ("", "NamedTuple", [[1], 2]),
    "typed dict": ("", "TypedDict", {"inner": {"number": 1}, "last": 2}),
}
PLANTED = "msgspec.convert(VALUE, Outer)"


def meeting(folder: Path, meet: str, kind: str) -> subprocess.CompletedProcess[str]:
    decorator, base, value = KINDS[kind]
    script = SCRIPT.format(decorator=decorator, base=base, value=value, meet=meet)
    (folder / "meeting.py").write_text(script)
    return subprocess.run(
        [sys.executable, "meeting.py"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_meet_the_type_of_an_argument_at_once(tmp_path: Path, kind: str) -> None:
    child = meeting(tmp_path, "convert_call((VALUE,), {}, job)", kind)
    assert child.returncode == 0, child.stderr


@pytest.mark.parametrize(
    "meet",
    [
        "decode_value(encode_result(VALUE), Outer)",
        "converter(Outer)(VALUE)",
        "json_decoder(Outer)(msgspec.json.encode(VALUE))",
        "msgpack_decoder(Outer)(msgspec.msgpack.encode(VALUE))",
    ],
)
def test_two_threads_meet_a_type_at_once(tmp_path: Path, meet: str) -> None:
    child = meeting(tmp_path, meet, "struct")
    assert child.returncode == 0, child.stderr


def test_without_the_lock_they_end_the_process(tmp_path: Path) -> None:
    assert meeting(tmp_path, PLANTED, "struct").returncode == -11
