"""Tables: what is of use only whole is never cut, and a long list is shown as it comes."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from logistics.cli.output import show
from logistics.cli.tables import PAGE, drawn

Terminal = Callable[[int], None]
ROWS: list[dict[str, Any]] = [
    {
        "job_id": f"6612506972d4c6d544aaabe{number}",
        "name": "a long name " * 3,
        "tries": 1234567,
        "status": "COMPLETED",
        "at": datetime(2027, 3, 28, 1, 0, 0, 123000, tzinfo=UTC),
        "error": "ValueError: the server said no, 漢字 twelve times in a row",
        "data": f"{{{'x' * 70}}}",
    }
    for number in range(2)
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Have a terminal of so many columns from now on."""

    def have(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return have


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is shown of the rows."""
    show(tuple(ROWS[0]), ROWS, as_json=False, empty="")
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 130, 160, 200, 300])
def test_no_id_no_time_no_number_and_no_word_is_cut_however_narrow_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    terminal(columns)
    lines = said(capsys)
    text = "\n".join(lines[2:])
    for row in ROWS:
        assert row["job_id"] in text
    for whole in ("1234567", "COMPLETED", "2027-03-28", "01:00:00.123Z", "ValueError:", "twelve"):
        assert text.count(whole) == 2, whole
    assert text.count("x") == 2 * 70
    beside = [line for line in lines if not line.startswith("    ") or line[4:5] == " "]
    assert max(map(len, beside)) <= max(columns, 24)


def test_what_has_no_room_beside_the_id_stands_below_it_and_what_is_empty_does_not(
    capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    terminal(40)
    rows = [{"id": "i" * 30, "status": "FAILED", "error": "boom"}, {"id": "j" * 30, "status": "COMPLETED"}]
    show(("id", "status", "error"), rows, as_json=False, empty="")
    assert capsys.readouterr().out.splitlines()[2:] == [
        "i" * 30,
        "    status: FAILED",
        "    error: boom",
        "j" * 30,
        "    status: COMPLETED",
    ]


def test_a_time_is_broken_between_day_and_hour_before_a_column_is_left_out(
    capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    terminal(40)
    show(("id", "at"), [{"id": "i" * 24, "at": ROWS[0]["at"]}], as_json=False, empty="")
    assert capsys.readouterr().out.splitlines()[2:] == [f"{'i' * 24}  2027-03-28", f"{'':24}  01:00:00.123Z"]


def test_without_a_terminal_each_row_is_one_line_and_nothing_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    head, rule, *lines = said(capsys)
    assert head.split() == list(ROWS[0])
    assert set(rule) == {"─"}
    assert len(lines) == 2
    assert all(ROWS[0]["error"] in line and ROWS[0]["data"] in line for line in lines)


def test_a_line_of_a_table_ends_with_its_last_character(capsys: pytest.CaptureFixture[str]) -> None:
    show(("a", "long name"), [{"a": "1", "long name": ""}], as_json=False, empty="")
    assert all(line == line.rstrip() for line in capsys.readouterr().out.splitlines())


def test_a_page_is_shown_before_the_next_one_is_asked_for() -> None:
    asked = []

    def rows() -> Iterator[list[str]]:
        for number in range(3 * PAGE):
            asked.append(number)
            yield [str(number)]

    lines = drawn(["number"], rows())
    assert [next(lines) for _ in range(3)][-1] == "0"
    assert len(asked) == PAGE


def test_a_page_that_needs_more_room_has_its_own_head_and_any_other_goes_on() -> None:
    rows = [["a"]] * 2 * PAGE + [["a name that is longer"]] + [["b"]] * PAGE
    assert list(drawn(["name"], rows)).count("name") == 2


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_a_terminal_that_wants_no_colours_gets_plain_text(
    name: str,
    value: str,
    capsys: pytest.CaptureFixture[str],
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(each, raising=False)
    terminal(80)
    show(("a",), [{"a": "1"}], as_json=False, empty="")
    assert capsys.readouterr().out.startswith("\x1b")
    monkeypatch.setenv(name, value)
    show(("a",), [{"a": "1"}], as_json=False, empty="")
    assert capsys.readouterr().out.splitlines() == ["a", "────", "1"]


@pytest.mark.parametrize(
    ("encoding", "rule"), [("utf-8", "─"), ("cp437", "─"), ("ascii", "-"), ("latin-1", "-")]
)
def test_where_there_is_no_character_for_a_line_it_is_made_of_another(
    encoding: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    monkeypatch.setattr(sys, "stdout", shown)
    show(("a",), [{"a": "1"}], as_json=False, empty="")
    shown.seek(0)
    assert shown.read().splitlines() == ["a", 4 * rule, "1"]
