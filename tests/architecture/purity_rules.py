"""The rule for rules: decider.py, state.py and messages.py know nothing of the world."""

from __future__ import annotations

from collections.abc import Iterator

from tests.architecture.import_rules import uses
from tests.architecture.source import PACKAGES, Module, Tree

RULES_FILES = frozenset({"decider", "state", "messages"})

PURE_STDLIB = frozenset(
    """
    __future__ abc array base64 binascii bisect collections contextlib copy dataclasses datetime decimal
    enum fnmatch fractions functools graphlib hashlib heapq itertools json math numbers operator
    re statistics string struct textwrap types typing unicodedata uuid zlib
    """.split()
)
"""The standard library less clocks, randomness, threads, I/O and logging. `datetime` and `uuid` are here for
their types; what they read from the world is refused by name."""

WORLD_CALLS = frozenset(
    """
    open print input eval exec compile __import__ hash id vars globals breakpoint
    datetime.now datetime.utcnow datetime.today date.today
    datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
    uuid.uuid1 uuid.uuid4 uuid1 uuid4 uuid.getnode
    """.split()
)
"""`hash` and `id` differ from process to process: what they decide cannot be replayed."""

GATES = frozenset({"croniter", "zoneinfo", "tzdata", "holidays"})
GATE_STDLIB = frozenset({"zoneinfo", "importlib"})


LIKE_A_LIBRARY = frozenset({"eventstore.decoding"})
"""What rules may use without being read: it locks, around msgspec, and gives nothing of the world."""


def rules_are_pure(tree: Tree) -> Iterator[str]:
    """The rules of each actor, and all of ours that they import, are data and pure functions.

    `actors/runtime` is no actor: its `messages` are envelopes, not rules. What rules import of it is read.
    """
    for module in tree.within("actors"):
        in_runtime = module.name.startswith("actors.runtime.")
        if module.stem in RULES_FILES and not module.is_package and not in_runtime:
            yield from _impurities(module, tree)


def _impurities(rules: Module, tree: Tree) -> Iterator[str]:
    seen = {rules.name}
    stack = [(rules, rules.where)]
    while stack:
        module, chain = stack.pop()
        gates = {gate for gate in GATES if uses(module, {gate})}
        if gates and rules.stem != "decider":
            yield f"{chain}: reaches {' and '.join(sorted(gates))}; only a decider may consult cron or zones"
        yield from _impure_imports(module, chain, is_gate=bool(gates))
        yield from _world_calls(module, chain)
        for name in tree.imported_by(module):
            if name not in seen | LIKE_A_LIBRARY:
                seen.add(name)
                stack.append((tree.by_name[name], f"{chain} -> {tree.by_name[name].where}"))


def _impure_imports(module: Module, chain: str, *, is_gate: bool) -> Iterator[str]:
    allowed = PURE_STDLIB | {"msgspec", *PACKAGES} | (GATES | GATE_STDLIB if is_gate else frozenset())
    for found in module.imports:
        if found.top not in allowed and not found.typing_only:
            yield (
                f"{chain}, line {found.line}: imports {found.module}; rules know no clock, randomness, "
                "thread, I/O or logging: let the actor put what is needed into the command"
            )


def _world_calls(module: Module, chain: str) -> Iterator[str]:
    for name, call in module.calls:
        if name in WORLD_CALLS:
            yield f"{chain}, line {call.lineno}: calls {name}(); rules get all they need in the command"
