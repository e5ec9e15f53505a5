"""Arguments and results go through bytes and come back as the codec and the annotations say."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import io
import math
import os
import random
import subprocess
import sys
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.depth import check_depth
from actors.runtime.errors import PayloadError
from actors.runtime.plain import MAX_DEPTH
from actors.runtime.values import (
    DEFAULT_LIMIT,
    decode_call,
    decode_value,
    encode_call,
    encode_result,
    result_type,
)
from eventstore.decoding import type_info
from eventstore.errors import LogisticsError
from tests.support.scale import scaled

if TYPE_CHECKING:
    from collections import UserString as Missing  # known to the type checker only

ROOT = Path(__file__).resolve().parents[3]


class Point(msgspec.Struct, frozen=True):
    x: int
    tags: frozenset[str] = frozenset()


@dataclasses.dataclass
class Order:
    item: str
    due: dt.date
    marks: set[int] = dataclasses.field(default_factory=set)
    handle: Any = None


class Colour(enum.StrEnum):
    RED = "red"


class Row(TypedDict):
    name: str


class Unknown:
    """No type that msgspec knows."""


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 -- the untyped kind is the case in question


def _round_trip(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return decode_call(encode_call(args, kwargs))


def _refused(*args: Any, **kwargs: Any) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        encode_call(args, kwargs)
    assert isinstance(caught.value, LogisticsError)
    assert isinstance(caught.value, ValueError)
    return caught.value


# --- plain data -------------------------------------------------------------------------------------------

plain_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text() | st.integers(0, 9), inside),
    max_leaves=12,
)


@pytest.mark.no_cover
@given(st.lists(plain_data), st.dictionaries(st.text(), plain_data))
def test_plain_data_comes_back_as_it_was(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert _round_trip(*args, **kwargs) == (tuple(args), kwargs)
    assert list(_round_trip(**kwargs)[1]) == list(kwargs)


@given(plain_data)
def test_a_result_of_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert decode_value(encode_result(value)) == value


def test_nan_and_infinity_are_allowed() -> None:
    (value, high), _ = _round_trip(math.nan, math.inf)
    assert math.isnan(value)
    assert high == math.inf


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Decimal("1.50"), "1.50"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (dt.date(2027, 3, 28), "2027-03-28"),
        (dt.datetime(2027, 3, 28, 1, 30), "2027-03-28T01:30:00"),  # noqa: DTZ001 -- the naive case
        (
            dt.datetime(2027, 3, 28, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            dt.datetime(2027, 3, 27, 23, 30, tzinfo=dt.UTC),
        ),
        (dt.timedelta(minutes=1), "PT60S"),
        (Colour.RED, "red"),
        (Point(1), {"x": 1, "tags": []}),
        (
            Order("tea", dt.date(2027, 1, 1)),
            {"item": "tea", "due": "2027-01-01", "marks": [], "handle": None},
        ),
        (Pair(1, {2}), [1, [2]]),
        (bytearray(b"x"), b"x"),
        (OrderedDict(b=1, a={2}), {"b": 1, "a": [2]}),
        (defaultdict(list, x=[1]), {"x": [1]}),
        ({(1, 2): 3}, {(1, 2): 3}),
        ({frozenset({2, 1}): 3}, {(1, 2): 3}),
        ({uuid.UUID(int=7): 1}, {"00000000-0000-0000-0000-000000000007": 1}),
    ],
)
def test_without_annotations_other_types_come_back_as_plain_data(value: Any, seen: Any) -> None:
    assert _round_trip(value, x=[value]) == ((seen,), {"x": [seen]})
    assert decode_value(encode_result(value)) == seen


# --- sets -------------------------------------------------------------------------------------------------

SETS = """
import sys
from tests.actors.runtime import test_values as t
from actors.runtime.values import encode_call
words = {"ab", "cd", "ef", "gh", "ij", 1, 2.5, None, b"x", (1, "y"), frozenset({"k", "l", "m"})}
names = frozenset({"n", "o", "p", "q"})
order = t.Order("tea", t.dt.date(2027, 1, 1), marks={"z", "y", "x", "w"})
args = [words, {"deep": [{"er": words}]}, t.Point(1, names), order, {names: 1}]
print(encode_call(args, {"k": words}).hex())
"""


def test_sets_are_written_in_the_same_order_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in range(3)
    }
    assert len(seen) == 1


@dataclasses.dataclass(frozen=True, slots=True)
class Mixed:
    marks: frozenset[Any]
    order: dict[str, Any]


def test_a_record_with_a_set_of_many_kinds_is_stored_and_stays_as_it_was() -> None:
    for record in (Mixed(frozenset({1, "a", None}), {"z": {2, 1}, "a": 1}), Point(1, frozenset({1, "a"}))):  # type: ignore[arg-type]
        before = repr(record)
        (value,), _ = _round_trip(record)
        assert repr(record) == before
        assert len(next(each for each in value.values() if isinstance(each, list))) > 1
        assert list(value.get("order", "za")) == ["z", "a"]


class Frail(msgspec.Struct, frozen=True):
    """Its constructor refuses what its encoded form would be."""

    names: frozenset[str]

    def __post_init__(self) -> None:
        if not isinstance(self.names, frozenset):
            raise TypeError


def test_a_record_that_checks_its_fields_is_stored_without_making_another() -> None:
    frail = Frail(frozenset({"b", "a"}))
    assert decode_value(encode_result(frail), Frail) == frail


def test_the_order_of_a_dict_is_kept_where_sets_are_sorted() -> None:
    (value,), _ = _round_trip({"z": {2, 1}, "a": 1})
    assert list(value) == ["z", "a"]


# --- annotations ------------------------------------------------------------------------------------------


def annotated(
    when: dt.datetime,
    order: Order,
    /,
    number: int,
    *rest: Decimal,
    ident: uuid.UUID | None = None,
    pairs: tuple[tuple[int, str], ...] = (),
    names: set[str] = frozenset(),  # type: ignore[assignment]
    optional: Point = None,  # type: ignore[assignment]
    **others: Point,
) -> Point:
    raise NotImplementedError


def test_arguments_are_converted_by_the_annotations_of_the_function() -> None:
    when = dt.datetime(2027, 3, 28, 1, tzinfo=dt.UTC)
    order = Order("tea", dt.date(2027, 1, 1), {2, 1})
    ident = uuid.UUID(int=7)
    data = encode_call(
        (when, order, "not a number", Decimal("1.50"), Decimal(2)),
        {"ident": ident, "pairs": ((1, "a"),), "names": {"x"}, "optional": None, "more": Point(3)},
    )
    assert decode_call(data, annotated) == (
        (when, order, "not a number", Decimal("1.50"), Decimal(2)),
        {"ident": ident, "pairs": ((1, "a"),), "names": {"x"}, "optional": None, "more": Point(3)},
    )


def untouched(  # noqa: PLR0917 -- what is wrong with each of these is the case in question
    custom: Unknown,
    missing: Missing,
    either: Point | Order,
    nonsense: "no python at all",  # type: ignore[valid-type]  # noqa: F722
    value: 3,  # type: ignore[valid-type]
    listed: list[Unknown],
) -> Unknown:
    raise NotImplementedError


def test_annotations_that_msgspec_does_not_know_or_nobody_can_resolve_leave_plain_data() -> None:
    args = ({"x": 1}, [1], {"x": 1}, "text", 4, [{"x": 1}])
    assert decode_call(encode_call(args, {}), untouched) == (args, {})
    assert result_type(untouched) is Any


def typed_dict(row: Row, choice: Literal["a"], rows: list[dict[str, Any]], when: dt.date) -> None:
    raise NotImplementedError


def test_plain_annotations_check_nothing_and_drop_nothing() -> None:
    args = ({"name": "x", "more": 1}, "z", {"no": "list"}, "2027-03-28")
    assert decode_call(encode_call(args, {}), typed_dict) == ((*args[:3], dt.date(2027, 3, 28)), {})


def test_one_annotation_that_cannot_be_resolved_does_not_spoil_the_others() -> None:
    def half(missing: Missing, when: dt.date) -> None:
        raise NotImplementedError

    args, _ = decode_call(encode_call([1, "2027-03-28"], {}), half)
    assert args == (1, dt.date(2027, 3, 28))


class Methods:
    @classmethod
    def make(cls, when: dt.date) -> None:
        raise NotImplementedError

    @staticmethod
    def static(when: dt.date) -> dt.date:
        raise NotImplementedError


@functools.wraps(Methods.static)
def wrapper(*args: Any) -> Any:
    raise NotImplementedError


async def coroutine_function(when: dt.date) -> dt.date:
    raise NotImplementedError


@pytest.mark.parametrize("func", [Methods.make, Methods.static, wrapper, coroutine_function])
def test_methods_wrappers_and_coroutine_functions_have_annotations_too(func: Callable[..., Any]) -> None:
    assert decode_call(encode_call(["2027-03-28"], {}), func)[0] == (dt.date(2027, 3, 28),)


def test_functions_without_a_signature_get_plain_data() -> None:
    assert decode_call(encode_call([{"x": 1}], {}), dict.update) == (({"x": 1},), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "path", "text"),
    [
        (["x", {}, 1], {}, "args[0]", "invalid RFC3339"),
        (
            ["2027-03-28T01:00:00Z", {"item": "x", "due": 3}, 1],
            {},
            "args[1].due",
            "expected `date`, got `int`",
        ),
        (["2027-03-28T01:00:00Z", {"item": "x"}, 1], {}, "args[1]", "missing required field `due`"),
        (
            ["2027-03-28T01:00:00Z", {"item": "", "due": "2027-01-01"}, 1, "x"],
            {},
            "args[3]",
            "invalid decimal",
        ),
        ([], {"pairs": [[1, "a"], [2, 3]]}, "kwargs['pairs'][1][1]", "expected `str`, got `int`"),
        ([], {"more": 3}, "kwargs['more']", "expected `object`, got `int`"),
    ],
)
def test_what_does_not_fit_its_annotation_is_named_with_its_path(
    args: list[Any], kwargs: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        decode_call(encode_call(args, kwargs), annotated)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_a_result_is_converted_by_the_type_given() -> None:
    data = encode_result(Point(3, frozenset({"a"})))
    assert result_type(annotated) is Point
    assert decode_value(data, Point) == Point(3, frozenset({"a"}))
    assert decode_value(data, result_type(coroutine_function) and Any) == {"x": 3, "tags": ["a"]}
    assert decode_value(encode_result([1]), list[int]) == [1]
    with pytest.raises(PayloadError, match=r"value\.x: expected `int`, got `str`"):
        decode_value(encode_result({"x": "3"}), Point)


def test_what_converts_to_a_type_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class New(msgspec.Struct):
        x: int

    asked: list[Any] = []

    def look(kind: Any) -> Any:
        asked.append(kind)
        return type_info(kind)

    monkeypatch.setattr("actors.runtime.annotations.type_info", look)
    for _ in range(3):
        assert decode_value(encode_result(New(3)), New) == New(3)
        without_hash = Annotated[list[New], {}]
        assert decode_value(encode_result([New(3)]), without_hash) == [New(3)]
    assert asked.count(New) == 1


def test_a_type_that_is_not_whole_yet_is_looked_at_again() -> None:
    class Holder(msgspec.Struct):
        when: "Later"  # type: ignore[name-defined]  # noqa: F821, UP037

    data = encode_result({"when": "2027-05-07"})
    assert decode_value(data, Holder) == {"when": "2027-05-07"}
    Holder.__annotations__["when"] = dt.date
    assert decode_value(data, Holder) == Holder(dt.date(2027, 5, 7))


# --- what cannot be stored --------------------------------------------------------------------------------


def _cycle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Text(str):
    __slots__ = ()


class Awkward:
    def __repr__(self) -> str:
        return "<awkward>"


@dataclasses.dataclass(frozen=True)
class FrozenKey:
    x: int


@pytest.mark.parametrize(
    ("args", "kwargs", "path", "text"),
    [
        (
            [1, Order("x", dt.date(2027, 1, 1), handle=io.StringIO())],
            {},
            "args[1].handle",
            "StringIO cannot be",
        ),
        ([], {"x": [1, 2, 3, object()]}, "kwargs['x'][3]", "object cannot be stored"),
        ([{"a": [lambda: 1]}], {}, "args[0]['a'][0]", "function cannot be stored"),
        ([2**64], {}, "args[0]", "does not fit into 64 bits; pass it as text"),
        ([0, -(2**63) - 1], {}, "args[1]", "does not fit into 64 bits"),
        (["\ud800"], {}, "args[0]", "lone surrogate"),
        ([], {"k": ["x", "\udfff"]}, "kwargs['k'][1]", "lone surrogate"),
        ([], {"\ud800": 1}, r"kwargs (the key '\ud800')", "lone surrogate"),
        ([{"\ud800": 1}], {}, r"args[0] (the key '\ud800')", "lone surrogate"),
        ([_cycle()], {}, "args[0][1]['again']", "contains itself"),
        ([_deep(65)], {}, "args[0][0][0][0][0][0][0][0][0][0][0][0]…", "deeper than 64 levels"),
        ([_deep(100_000)], {}, "args[0][0][0][0][0][0][0][0][0][0][0][0]…", "deeper than 64 levels"),
        ([Text("x")], {}, "args[0]", "Text cannot be stored"),
        ([complex(1)], {}, "args[0]", "complex cannot be stored"),
        ([range(3)], {}, "args[0]", "range cannot be stored"),
        ([Awkward], {}, "args[0]", "type cannot be stored"),
        ([{1: {Awkward()}}], {}, "args[0][1]{<awkward>}", "Awkward cannot be stored"),
        ([{FrozenKey(1): 2}], {}, "args[0] (the key FrozenKey(x=1))", "a key must be text, a number"),
        ([msgspec.Raw(b"\xc1")], {}, "args[0]", "Raw cannot be stored"),
        ("text", {}, "args", "args is a list or a tuple, got str"),
        ([], [("x", 1)], "kwargs", "kwargs is a dict, got list"),
        ([], {1: 2}, "kwargs", "names of parameters as keys, got 1"),
    ],
)
def test_what_cannot_be_stored_is_refused_naming_its_path(
    args: Any, kwargs: Any, path: str, text: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        encode_call(args, kwargs)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)
    assert text in str(caught.value)


def test_a_result_that_cannot_be_stored_is_refused_naming_its_path() -> None:
    with pytest.raises(PayloadError, match=r"^result\[0\]\['x'\]: object cannot be stored"):
        encode_result([{"x": object()}])


def test_64_levels_are_allowed() -> None:
    value = _deep(MAX_DEPTH)
    assert _round_trip(value, x=value) == ((value,), {"x": value})
    assert decode_value(encode_result(value)) == value


# --- sizes ------------------------------------------------------------------------------------------------


def test_the_limit_is_one_mebibyte_to_the_byte() -> None:
    room = DEFAULT_LIMIT - len(encode_call([b""], {})) - 3  # three more bytes for the length of that many
    assert len(encode_call([b"x" * room], {})) == DEFAULT_LIMIT
    with pytest.raises(
        PayloadError, match="the arguments take 1048577 bytes, the limit is 1048576 bytes"
    ) as caught:
        encode_call([b"x" * (room + 1)], {})
    assert (caught.value.size, caught.value.limit) == (DEFAULT_LIMIT + 1, DEFAULT_LIMIT)
    with pytest.raises(PayloadError, match=r"the result takes 67108869 bytes.*put the data into a file"):
        encode_result("x" * (64 * DEFAULT_LIMIT))
    assert encode_result("x" * DEFAULT_LIMIT, limit=2 * DEFAULT_LIMIT)


def test_the_limit_holds_for_other_arguments_than_plain_ones() -> None:
    with pytest.raises(PayloadError, match=r"the limit is 10 bytes \(max_payload=\)"):
        encode_call([["x" * 20]], {}, limit=10)
    with pytest.raises(PayloadError, match="the limit is 10 bytes"):
        encode_call([], {"x": "x" * 20}, limit=10)


@pytest.mark.no_cover
def test_a_few_lists_that_hold_each_other_very_often_are_refused_at_once() -> None:
    value: Any = ["x"]
    for _ in range(60):
        value = [value, value]
    assert "the arguments hold more than 1048576 values" in str(_refused(value))


@pytest.mark.no_cover
def test_the_fault_is_found_at_once_in_lists_that_hold_each_other_often() -> None:
    value: Any = ["x"]
    for _ in range(18):
        value = [value, value]
    assert _refused(value, object()).path == "args[1]"


# --- hostile bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [65, 1_000, 100_000])
@pytest.mark.parametrize("prefix", [b"\x91", b"\x81\xa1k", b"\xdc\x00\x01", b"\xdf\x00\x00\x00\x01\x01"])
def test_bytes_nested_too_deep_are_refused_before_they_are_decoded(prefix: bytes, levels: int) -> None:
    data = prefix * levels + b"\x01"
    with pytest.raises(PayloadError, match="nested deeper than 64 levels"):
        decode_value(data)
    with pytest.raises(PayloadError, match="nested deeper than 66 levels"):
        decode_call(b"\x92\x91" + data + b"\x80")


def test_bytes_that_only_look_deep_are_decoded() -> None:
    values: list[Any] = ["\u0700" * 500, [200] * 500, [[1]] * 500, b"\x91" * 500, {"k": [{}] * 300}]
    for value in values:
        assert decode_value(encode_result(value)) == value


def _depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth_of(each) for each in value.values()), default=0)
    return 1 + max(map(_depth_of, value), default=0) if isinstance(value, list) else 0


@given(plain_data)
def test_the_depth_is_that_of_the_value(value: Any) -> None:
    data, depth = encode_result(value), _depth_of(value)
    check_depth(data, depth)
    if depth:
        with pytest.raises(PayloadError):
            check_depth(data, depth - 1)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"\x92\x90",
        b"\x93\x90\x80\x80",
        b"\x90",
        b"\x80",
        b"\x92\x80\x80",
        b"\x92\x90\x81\x01\x02",
        b"\x92\x90\x80\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x92\xdf\xff\xff\xff\xff\x80",
        b"\x92\x91\xa1\xff\x80",
    ],
)
def test_bytes_that_are_no_call_are_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(PayloadError, match="the stored arguments cannot be read"):
        decode_call(data)


def test_no_bytes_at_all_are_no_arguments() -> None:
    assert decode_call(b"") == ((), {})


def test_random_bytes_decode_or_are_one_kind_of_error() -> None:
    source = random.Random(7)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(scaled("fuzz", 10_000)):
        data = source.randbytes(source.randrange(1, 90))
        for decode in (decode_value, decode_call):
            try:
                decode(data)
                outcomes["read"] += 1
            except PayloadError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 0
