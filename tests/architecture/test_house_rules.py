"""The style guide is a test: the rules of the house hold for the source as it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.architecture import import_rules, purity_rules, state_rules, word_rules
from tests.architecture.allowed_state import ALLOWED
from tests.architecture.source import PACKAGES, Rule, Tree, read_tree

pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).parents[2]


@cache
def source() -> Tree:
    return read_tree(ROOT, *PACKAGES)


@cache
def source_of_tests() -> Tree:
    return read_tree(ROOT, "tests")


@cache
def everything() -> Tree:
    return Tree([*source(), *source_of_tests(), *read_tree(ROOT, "docs/examples")])


def broken(found: list[str]) -> str:
    return "\n".join(["", *sorted(found)])


@pytest.mark.parametrize(
    "rule",
    [
        import_rules.imports_go_down,
        import_rules.no_import_inside_a_function,
        import_rules.no_import_from_the_own_package_root,
        import_rules.no_import_cycle,
        import_rules.third_parties_stay_where_they_belong,
        purity_rules.rules_are_pure,
        import_rules.cron_and_zones_have_one_module_each,
        word_rules.no_code_from_data,
        word_rules.lmdb_is_opened_safely,
        word_rules.types_are_met_by_one_thread_at_a_time,
        word_rules.actors_do_not_wait_for_each_other,
        word_rules.loggers_are_below_logistics,
    ],
    ids=lambda rule: rule.__name__,
)
def test_the_packages_keep_the_rule(rule: Rule) -> None:
    found = list(rule(source()))
    assert not found, broken(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_is_there_with_its_type_marker(package: str) -> None:
    assert any(True for _ in source().within(package)), f"there is no package {package}/"
    assert (ROOT / package / "py.typed").is_file(), f"{package}/py.typed is missing"


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found = list(
        import_rules.every_folder_is_a_package(
            {str(folder.relative_to(ROOT)): (folder / "__init__.py").is_file() for folder in folders}
        )
    )
    assert not found, broken(found)


def test_no_module_keeps_mutable_state_but_the_documented() -> None:
    found = [text for name, text in state_rules.mutable_state(source()) if name not in ALLOWED]
    assert not found, broken(found)


def test_the_list_of_allowed_state_is_true() -> None:
    there = {name for name, _ in state_rules.mutable_state(source())}
    stale = sorted(set(ALLOWED) - there)
    assert not stale, f"no longer there, take it off the list: {', '.join(stale)}"
    assert all(len(reason) > 10 for reason in ALLOWED.values()), "each entry needs its reason"


def test_every_module_opens_with_its_responsibility() -> None:
    found = list(word_rules.every_module_says_what_it_is_for(everything()))
    assert not found, broken(found)


@pytest.mark.parametrize(
    "rule", [word_rules.no_sleep, word_rules.lmdb_is_opened_safely], ids=lambda rule: rule.__name__
)
def test_the_tests_keep_the_rule(rule: Rule) -> None:
    kept = Tree([module for module in source_of_tests() if not module.name.startswith("tests.architecture.")])
    found = list(rule(kept))
    assert not found, broken(found)
