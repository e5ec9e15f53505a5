"""docs/api.md has every public name, and says of each what `inspect.signature` says."""

from __future__ import annotations

import importlib

from tests.docs.api_reference import complaints, entries, public
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "api.md"


def test_the_page_and_the_code_agree() -> None:
    assert PAGE.is_file(), "docs/api.md is missing"
    module = importlib.import_module("logistics")
    assert public(module), "logistics has no __all__: nothing is public"
    found = list(complaints(PAGE.read_text(encoding="utf-8"), module))
    assert not found, "\n".join(["docs/api.md:", *found])


def test_the_page_has_entries() -> None:
    assert PAGE.is_file(), "docs/api.md is missing"
    assert any(True for _ in entries(PAGE.read_text(encoding="utf-8"))), "docs/api.md has no entries yet"
