"""The pages are there, and every name, path and link in them leads to something."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.docs.names import Code, missing_files, read_code, unknown_names
from tests.docs.pages import PAGES, ROOT


@cache
def known() -> Code:
    return read_code(ROOT, ["logistics", "actors", "eventstore", "tests", "docs"])


def page(path: Path) -> str:
    assert (ROOT / path).is_file(), f"{path} is missing"
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.no_cover
@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_name_on_the_page_is_in_the_code(path: Path) -> None:
    found = list(unknown_names(page(path), known()))
    assert not found, "\n".join([f"{path}:", *found])


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_path_and_link_on_the_page_leads_somewhere(path: Path) -> None:
    found = list(missing_files(page(path), (ROOT / path).parent, ROOT))
    assert not found, "\n".join([f"{path}:", *found])


def test_the_links_of_every_other_page_lead_somewhere() -> None:
    others = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in others
        for text in missing_files(path.read_text(encoding="utf-8"), path.parent, ROOT)
    ]
    assert not found, "\n".join(found)
