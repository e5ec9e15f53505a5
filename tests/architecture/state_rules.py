"""The rule about module-level state: there is none that can change, but for what is listed with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.source import PACKAGES, Module, Tree, dotted

DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
MUTABLE_CALLS = frozenset(
    "list dict set bytearray deque defaultdict Counter OrderedDict count cycle local iter open".split()
)
IMMUTABLE_CLASSES = frozenset(
    """
    TypeVar ParamSpec TypeVarTuple NewType NamedTuple TypedDict MappingProxyType Decimal Fraction Path
    PurePath UUID Struct Encoder Decoder NullHandler Literal Annotated Meta Generic Protocol
    """.split()
)
FROZEN_BASES = frozenset({"NamedTuple", "Enum", "StrEnum", "IntEnum", "Flag", "IntFlag"})


def mutable_state(tree: Tree) -> Iterator[tuple[str, str]]:
    """(`module:name`, complaint) of each piece of module-level state that something could change."""
    harmless = IMMUTABLE_CLASSES | _frozen_classes(tree)
    for module in tree.within(*PACKAGES):
        yield from _mutable_values(module, harmless)
        yield from _rebound_globals(module)


def _mutable_values(module: Module, harmless: frozenset[str]) -> Iterator[tuple[str, str]]:
    for statement in _top_level(module.tree.body):
        for name, value in _assigned(statement):
            if name != "__all__" and _is_mutable(value, harmless):
                text = (
                    f"{name} is module-level mutable state; make it a tuple, a frozenset or a "
                    "MappingProxyType, or keep it in an object that is passed around"
                )
                yield f"{module.name}:{name}", module.says(statement.lineno, text)


def _rebound_globals(module: Module) -> Iterator[tuple[str, str]]:
    for node in module.nodes:
        if isinstance(node, ast.Global):
            for name in node.names:
                text = f"a function rebinds the global {name}; pass an object around instead"
                yield f"{module.name}:{name}", module.says(node.lineno, text)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(statement, field, []))


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield dotted(target), statement.value
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        yield dotted(statement.target), statement.value


def _is_mutable(value: ast.expr, harmless: frozenset[str]) -> bool:
    if isinstance(value, ast.Tuple):
        return any(_is_mutable(element, harmless) for element in value.elts)
    if isinstance(value, ast.IfExp):
        return _is_mutable(value.body, harmless) or _is_mutable(value.orelse, harmless)
    if not isinstance(value, ast.Call):
        return isinstance(value, DISPLAYS)
    called = dotted(value.func).rpartition(".")[2]
    is_class = called.lstrip("_")[:1].isupper() and not called.isupper()
    return called in MUTABLE_CALLS or called in {"Lock", "RLock"} or (is_class and called not in harmless)


def _frozen_classes(tree: Tree) -> frozenset[str]:
    """Classes of ours whose instances do not change: named tuples, enumerations, what is declared frozen."""
    classes = [node for module in tree for node in module.nodes if isinstance(node, ast.ClassDef)]
    frozen = {node.name for node in classes if _is_frozen(node)}
    inherited = {node.name for node in classes if any(dotted(base) in frozen for base in node.bases)}
    return frozenset(frozen | inherited)


def _is_frozen(node: ast.ClassDef) -> bool:
    keywords = [*node.keywords]
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            keywords.extend(decorator.keywords)
    by_base = any(dotted(base).rpartition(".")[2] in FROZEN_BASES for base in node.bases)
    return by_base or any(
        keyword.arg == "frozen" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in keywords
    )
