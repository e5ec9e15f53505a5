"""Rules about words: calls and arguments that never appear, and the sentence that a module opens with."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.source import PACKAGES, Module, Tree

PICKLERS = frozenset(
    {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}
)
CODE_FROM_DATA = frozenset({"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"})
TAKES_BACK = "eventstore.opening"
"""Where a commit is flushed once: `eventstore.last_commit` finds it again."""
SYNCED_BY_ITSELF = frozenset({"eventstore.notebook"})
"""What has an environment of its own, in which each commit is flushed twice."""
WAIT = "wait for a condition or a signal, or use a virtual clock"


def no_code_from_data(tree: Tree) -> Iterator[str]:
    """Nothing stored or received is ever turned into code."""
    for module in tree:
        for found in module.imports:
            if found.top in PICKLERS:
                yield module.says(
                    found.line, f"imports {found.module}; stored data is msgpack, read by msgspec"
                )
        for name, call in module.calls:
            if name in CODE_FROM_DATA:
                yield module.says(call.lineno, f"calls {name}(); data never becomes code")


def every_module_says_what_it_is_for(tree: Tree) -> Iterator[str]:
    """A module opens with one sentence: its responsibility."""
    for module in tree:
        first = (ast.get_docstring(module.tree) or "").partition("\n\n")[0].strip()
        if not first:
            yield module.says(1, "has no docstring; open with one sentence, the module's responsibility")
        elif not first.endswith((".", "?", "!", ":")):
            yield module.says(1, f"opens with {first!r}, which is no sentence; end it with a full stop")


def lmdb_is_opened_safely(tree: Tree) -> Iterator[str]:
    """Synced, no writable map, `lib_version=0` at each opening; and whoever writes flushes what is not found again."""
    for module in tree:
        yield from _unflushed_writes(module)
        for node in module.nodes:
            if isinstance(node, ast.Constant) and node.value == "writemap":
                yield module.says(node.lineno, "names writemap; a stray write would go into the store")
        openers = {"lmdb.open", "lmdb.Environment", *_names_from_lmdb(module)}
        for name, call in module.calls:
            yield from _unsafe_arguments(module, call)
            if name in openers and not any(_gives(each, "lib_version", 0) for each in call.keywords):
                yield module.says(call.lineno, f"calls {name}() without lib_version=0")


def _unflushed_writes(module: Module) -> Iterator[str]:
    if module.package == "tests" or module.name in SYNCED_BY_ITSELF:
        return
    names = {name.rpartition(".")[2] for name, _ in module.calls}
    for name, call in module.calls:
        if name.endswith(".begin") and any(_gives(each, "write", value=True) for each in call.keywords):
            if "sync" not in names:
                yield module.says(
                    call.lineno, "writes, and flushes no meta page: a power failure may take it back"
                )


def _names_from_lmdb(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "lmdb":
            for alias in node.names:
                if alias.name in {"open", "Environment"}:
                    yield alias.asname or alias.name


def _gives(keyword: ast.keyword, name: str, value: object) -> bool:
    given = keyword.value
    return keyword.arg == name and isinstance(given, ast.Constant) and given.value is value


def _unsafe_arguments(module: Module, call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == "writemap":
            yield module.says(call.lineno, "passes writemap; a stray write would go into the store")
        for name in ("sync", "metasync"):
            taken_back = name == "metasync" and module.name == TAKES_BACK
            if _gives(keyword, name, value=False) and not taken_back:
                yield module.says(call.lineno, f"passes {name}=False; what was acknowledged must be on disk")


def no_sleep(tree: Tree) -> Iterator[str]:
    """Tests wait for a condition or a signal, or use the virtual clock."""
    for module in tree:
        for found in module.imports:
            if found.module == "time" and found.name == "sleep":
                yield module.says(found.line, f"imports sleep; {WAIT}")
        for name, call in module.calls:
            if name == "time.sleep" or (name == "asyncio.sleep" and not _is_zero(call)):
                yield module.says(call.lineno, f"calls {name}(); {WAIT}")
        for node in module.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "time.sleep(" in node.value:
                yield module.says(node.lineno, f"a script in a string calls time.sleep(); {WAIT}")


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def types_are_met_by_one_thread_at_a_time(tree: Tree) -> Iterator[str]:
    """Typed decoders and converters are made in `eventstore.decoding`: two threads at it end the process."""
    for module in tree.within(*PACKAGES):
        for name, call in module.calls:
            called = name.rpartition(".")[2]
            typed = bool(call.args) or any(each.arg == "type" for each in call.keywords)
            decodes = called == "decode" and any(each.arg == "type" for each in call.keywords)
            makes = name == "msgspec.convert" or (called == "Decoder" and typed)
            asks = name.endswith(("inspect.type_info", "json.schema_components"))
            if (makes or decodes or asks) and module.name != "eventstore.decoding":
                yield module.says(call.lineno, f"calls {name}() with a type; eventstore.decoding has a lock")


def actors_do_not_wait_for_each_other(tree: Tree) -> Iterator[str]:
    """No Pykka `ask` (its one home, `actors`, has none), no proxies, never the registry's `stop_all`."""
    for module in tree.within(*PACKAGES):
        for name, call in module.calls:
            called = name.rpartition(".")[2] if "." in name else ""
            if called in {"proxy", "stop_all"} or (called == "ask" and module.package == "actors"):
                yield module.says(
                    call.lineno, f"calls .{called}(); tell, and answer through the journal's gate"
                )


def loggers_are_below_logistics(tree: Tree) -> Iterator[str]:
    """Each logger is below `logistics`, which has a handler that prints nothing."""
    for module in tree.within(*PACKAGES):
        for name, call in module.calls:
            if name == "logging.getLogger" and not _is_below_logistics(call):
                yield module.says(call.lineno, "names a logger that is not below 'logistics'; it would print")


def _is_below_logistics(call: ast.Call) -> bool:
    name = call.args[0] if call.args else None
    return (
        isinstance(name, ast.Constant)
        and isinstance(name.value, str)
        and name.value.partition(".")[0] == "logistics"
    )
