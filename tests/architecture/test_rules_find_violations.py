"""Each rule of the house finds what is planted against it, and leaves its innocent neighbour alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.architecture import import_rules, purity_rules, state_rules, word_rules
from tests.architecture.source import Rule, Tree, read_tree

QUIET = '"""Quiet."""\n'


def plant(root: Path, files: Mapping[str, str]) -> Tree:
    """A tree with these files (path -> source) and an `__init__.py` in each folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for folder in path.parents:
            if folder == root:
                break
            init = folder / "__init__.py"
            if not init.exists():
                init.write_text(QUIET, encoding="utf-8")
    return read_tree(root, "logistics", "actors", "eventstore", "tests")


VIOLATIONS: list[tuple[Rule, dict[str, str], str]] = [
    (
        import_rules.imports_go_down,
        {"eventstore/log.py": "import actors.queue"},
        "eventstore imports actors.queue",
    ),
    (
        import_rules.imports_go_down,
        {"actors/a.py": "from logistics.task import Queue"},
        "actors imports logistics.task",
    ),
    (
        import_rules.imports_go_down,
        {"logistics/a.py": "from tests.support import x"},
        "logistics imports tests.support",
    ),
    (
        import_rules.no_import_inside_a_function,
        {"actors/a.py": "def f() -> None:\n    import json\n"},
        "actors/a.py:2: an import inside a function",
    ),
    (
        import_rules.no_import_inside_a_function,
        {"actors/a.py": "class C:\n    async def f(self) -> None:\n        from json import loads\n"},
        "actors/a.py:3",
    ),
    (
        import_rules.no_import_from_the_own_package_root,
        {"eventstore/a.py": "from eventstore import Log"},
        "imports Log from the root of its own package eventstore",
    ),
    (
        import_rules.no_import_from_the_own_package_root,
        {"actors/queue/a.py": "from . import Thing"},
        "own package actors.queue",
    ),
    (
        import_rules.no_import_from_the_own_package_root,
        {"actors/queue/a.py": "from .. import Thing"},
        "own package actors;",
    ),
    (
        import_rules.no_import_cycle,
        {"actors/a.py": "import actors.b", "actors/b.py": "from actors.a import x"},
        "import cycle: actors.a -> actors.b -> actors.a",
    ),
    (import_rules.third_parties_stay_where_they_belong, {"actors/a.py": "import requests"}, "no dependency"),
    (
        import_rules.third_parties_stay_where_they_belong,
        {"actors/a.py": "import lmdb"},
        "which only eventstore may",
    ),
    (
        import_rules.third_parties_stay_where_they_belong,
        {"logistics/task/a.py": "import rich"},
        "only logistics.cli may",
    ),
    (purity_rules.rules_are_pure, {"actors/queue/decider.py": "import time"}, "imports time"),
    (purity_rules.rules_are_pure, {"actors/queue/state.py": "import random"}, "imports random"),
    (purity_rules.rules_are_pure, {"actors/queue/messages.py": "import threading"}, "imports threading"),
    (purity_rules.rules_are_pure, {"actors/queue/state.py": "import logging"}, "imports logging"),
    (
        purity_rules.rules_are_pure,
        {"actors/queue/decider.py": "from actors.helper import x", "actors/helper.py": "import secrets"},
        "actors/queue/decider.py -> actors/helper.py, line 1: imports secrets",
    ),
    (
        purity_rules.rules_are_pure,
        {"actors/queue/decider.py": "from datetime import datetime\nnow = datetime.now()"},
        "calls datetime.now()",
    ),
    (
        purity_rules.rules_are_pure,
        {"actors/queue/decider.py": "def f(x: str) -> int:\n    return hash(x)"},
        "calls hash()",
    ),
    (
        purity_rules.rules_are_pure,
        {"actors/schedule/state.py": "import actors.cron", "actors/cron.py": "import croniter"},
        "only a decider may consult cron",
    ),
    (
        import_rules.cron_and_zones_have_one_module_each,
        {"actors/a.py": "import croniter", "actors/b.py": "from croniter import croniter"},
        "croniter must be imported in exactly one module, found actors/a.py, actors/b.py",
    ),
    (
        import_rules.cron_and_zones_have_one_module_each,
        {"actors/a.py": "import zoneinfo", "logistics/b.py": "x = files('tzdata')"},
        "zoneinfo and tzdata must be imported in exactly one module, found actors/a.py, logistics/b.py",
    ),
    (import_rules.cron_and_zones_have_one_module_each, {"actors/a.py": QUIET}, "found none"),
    *(
        (
            word_rules.loggers_are_below_logistics,
            {"eventstore/a.py": f"import logging\nx = logging.getLogger({name})"},
            "not below 'logistics'",
        )
        for name in ("__name__", "'logisticss'", "")
    ),
    (word_rules.no_code_from_data, {"logistics/a.py": "import pickle"}, "imports pickle"),
    (word_rules.no_code_from_data, {"logistics/a.py": "from marshal import loads"}, "imports marshal"),
    (word_rules.no_code_from_data, {"logistics/a.py": "eval('1')"}, "calls eval()"),
    (word_rules.no_code_from_data, {"logistics/a.py": "def f(x: str) -> None:\n    exec(x)"}, "calls exec()"),
    (
        word_rules.every_module_says_what_it_is_for,
        {"logistics/a.py": "x = 1"},
        "logistics/a.py:1: has no docstring",
    ),
    (word_rules.every_module_says_what_it_is_for, {"logistics/a.py": '"""Things"""'}, "which is no sentence"),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "import lmdb\nlmdb.open('x')"},
        "without lib_version=0",
    ),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "from lmdb import open as o, Environment\nEnvironment('x', lib_version=1)"},
        "without lib_version=0",
    ),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "import lmdb\nlmdb.open('x', lib_version=0, writemap=True)"},
        "passes writemap",
    ),
    (word_rules.lmdb_is_opened_safely, {"eventstore/a.py": "options = {'writemap': True}"}, "names writemap"),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "import lmdb\nlmdb.open('x', lib_version=0, metasync=False)"},
        "passes metasync=False",
    ),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "with environment.begin(write=True) as transaction:\n    put(transaction)"},
        "flushes no meta page",
    ),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "import lmdb\nlmdb.open('x', lib_version=0, sync=False)"},
        "passes sync=False",
    ),
    (
        word_rules.no_sleep,
        {"tests/test_a.py": "import time\ntime.sleep(1)"},
        "tests/test_a.py:2: calls time.sleep()",
    ),
    (word_rules.no_sleep, {"tests/test_a.py": "from time import sleep"}, "imports sleep"),
    (
        word_rules.no_sleep,
        {"tests/test_a.py": "SCRIPT = 'import time; time.sleep(9)'"},
        "a script in a string",
    ),
    (word_rules.no_sleep, {"tests/test_a.py": "import asyncio\nasyncio.sleep(1)"}, "calls asyncio.sleep()"),
    *(
        (
            word_rules.types_are_met_by_one_thread_at_a_time,
            {"actors/a.py": f"import msgspec\nx = {call}"},
            "eventstore.decoding has a lock",
        )
        for call in (
            "msgspec.convert({}, X)",
            "msgspec.json.Decoder(X)",
            "msgspec.msgpack.Decoder(type=X).decode",
            "msgspec.msgpack.decode(b'', type=X)",
            "msgspec.inspect.type_info(X)",
            "msgspec.json.schema_components([X])",
        )
    ),
    (word_rules.actors_do_not_wait_for_each_other, {"actors/a.py": "ref.ask(1, timeout=1)"}, "calls .ask()"),
    (word_rules.actors_do_not_wait_for_each_other, {"actors/a.py": "ref.proxy()"}, "calls .proxy()"),
    (
        word_rules.actors_do_not_wait_for_each_other,
        {"logistics/a.py": "ActorRegistry.stop_all()"},
        "calls .stop_all()",
    ),
]


@pytest.mark.parametrize(("rule", "files", "complaint"), VIOLATIONS)
def test_a_planted_violation_is_found(
    tmp_path: Path, rule: Rule, files: dict[str, str], complaint: str
) -> None:
    found = list(rule(plant(tmp_path, files)))
    assert any(complaint in text for text in found), found


INNOCENTS: list[tuple[Rule, dict[str, str]]] = [
    (
        import_rules.imports_go_down,
        {"logistics/a.py": "import actors.b\nimport eventstore", "actors/b.py": "import eventstore"},
    ),
    (
        import_rules.no_import_from_the_own_package_root,
        {
            "actors/queue/a.py": "from actors.queue import b\nfrom . import b\nfrom actors.queue.b import x",
            "actors/queue/b.py": "x = 1",
            "logistics/__init__.py": "from logistics.task.a import x",
            "logistics/task/a.py": "import eventstore\nfrom eventstore import y",
        },
    ),
    (
        import_rules.no_import_cycle,
        {"actors/a.py": "import actors.b\nimport actors.c", "actors/b.py": "import actors.c"},
    ),
    (
        import_rules.third_parties_stay_where_they_belong,
        {"logistics/cli/main.py": "import typer\nfrom rich import x"},
    ),
    (
        purity_rules.rules_are_pure,
        {
            "actors/schedule/decider.py": "import msgspec\nimport actors.cron\nimport actors.schedule.state",
            "actors/schedule/state.py": "import heapq\nfrom eventstore.errors import z",
            "actors/cron.py": "import croniter",
            "actors/schedule/actor.py": "import time",
            "actors/runtime/messages.py": "import threading",
            "actors/queue/state.py": "if TYPE_CHECKING:\n    from actors.runtime.messages import Reply",
            "eventstore/errors.py": QUIET,
        },
    ),
    (
        import_rules.cron_and_zones_have_one_module_each,
        {
            "actors/a.py": "import croniter",
            "actors/b.py": "import zoneinfo",
            "actors/c.py": "x = import_module('holidays')",
        },
    ),
    (word_rules.no_code_from_data, {"logistics/a.py": "import re\nre.compile('x')\ncursor.exec()"}),
    (
        word_rules.lmdb_is_opened_safely,
        {"eventstore/a.py": "import lmdb\nlmdb.open('x', lib_version=0)\nopen('y')"},
    ),
    (word_rules.no_sleep, {"tests/test_a.py": "import time\ntime.monotonic()"}),
    (
        word_rules.types_are_met_by_one_thread_at_a_time,
        {
            "actors/a.py": "import msgspec\nmsgspec.msgpack.decode(b'')\nmsgspec.json.Decoder()",
            "actors/b.py": "from eventstore.decoding import type_info\ntype_info(X)",
            "eventstore/decoding.py": "import msgspec\nmsgspec.msgpack.Decoder(X)",
        },
    ),
    (
        word_rules.actors_do_not_wait_for_each_other,
        {"actors/a.py": "ref.tell(1)", "logistics/a.py": "engine.ask(1)"},
    ),
    (
        word_rules.loggers_are_below_logistics,
        {"eventstore/a.py": "import logging\nx = logging.getLogger('logistics.store')"},
    ),
]


@pytest.mark.parametrize(("rule", "files"), INNOCENTS)
def test_what_is_allowed_is_left_alone(tmp_path: Path, rule: Rule, files: dict[str, str]) -> None:
    assert list(rule(plant(tmp_path, files))) == []


@pytest.mark.parametrize(
    "statement",
    [
        "cache = {}",
        "names: list[str] = []",
        "seen = set()",
        "pair = (1, [])",
        "engine = Engine()",
        "lock = threading.Lock()",
        "numbers = itertools.count()",
        "if True:\n    late = []",
        "try:\n    late = {}\nexcept OSError:\n    pass",
        "x = None\ndef f() -> None:\n    global x\n    x = 1",
    ],
)
def test_module_level_mutable_state_is_found(tmp_path: Path, statement: str) -> None:
    assert list(state_rules.mutable_state(plant(tmp_path, {"actors/a.py": statement})))


@pytest.mark.parametrize(
    "statement",
    [
        "__all__ = ['a']",
        "LIMIT = 3",
        "NAMES = ('a', 'b')",
        "KINDS = frozenset({'a'})",
        "TABLE = MappingProxyType({'a': 1})",
        "PATTERN = re.compile('x')",
        "log = logging.getLogger('logistics')",
        "T = TypeVar('T')",
        "encoder = msgspec.msgpack.Encoder()",
        "class P(NamedTuple):\n    x: int\nORIGIN = P(0)",
        "class P(msgspec.Struct, frozen=True):\n    x: int\nclass Q(P):\n    pass\nORIGIN = Q(0)",
        "@dataclass(frozen=True)\nclass P:\n    x: int\nORIGIN: Final = P(0)",
        "UNSET = object()",
        "class C:\n    def f(self) -> None:\n        x = []",
    ],
)
def test_constants_are_no_state(tmp_path: Path, statement: str) -> None:
    assert list(state_rules.mutable_state(plant(tmp_path, {"actors/a.py": statement}))) == []


def test_a_folder_without_init_is_found() -> None:
    assert list(import_rules.every_folder_is_a_package({"actors/queue": False, "actors": True})) == [
        "actors/queue: has modules and no __init__.py; it would not be installed"
    ]
