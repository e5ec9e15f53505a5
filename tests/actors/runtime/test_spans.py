"""Spans of time are told as people say them."""

from __future__ import annotations

import pytest

from actors.runtime.spans import span_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.001, "0.001 s"),
        (1.5, "1.5 s"),
        (59, "59 s"),
        (60, "1 minute"),
        (61, "61 s"),
        (90 * 60, "90 minutes"),
        (3_600, "1 hour"),
        (36 * 3_600, "36 hours"),
        (86_400, "1 day"),
        (604_800, "7 days"),
    ],
)
def test_a_span_has_the_largest_unit_that_it_is_a_whole_number_of(seconds: float, text: str) -> None:
    assert span_text(round(seconds * 1_000_000)) == text
