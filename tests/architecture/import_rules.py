"""Rules about imports: down only, at a module's top, from where a thing is defined, never in a circle."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tests.architecture.source import PACKAGES, Import, Module, Tree

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

HOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pykka": ("actors",),
        "lmdb": ("eventstore",),
        "msgspec": PACKAGES,
        "croniter": PACKAGES,
        "tzdata": PACKAGES,
        "typer": ("logistics.cli",),
        "cryptography": ("logistics.audit.signing", "actors.runtime.vault"),
        "yaml": ("logistics.orchestration.yaml_text",),
        "opentelemetry": ("logistics.telemetry.tracing",),
        "rich": ("logistics.cli",),
        "click": ("logistics.cli",),
    }
)
"""Each dependency, and who may know it."""


def imports_go_down(tree: Tree) -> Iterator[str]:
    """logistics -> actors -> eventstore, never up; and nothing of ours imports tests or docs."""
    for module in tree.within(*PACKAGES):
        above = PACKAGES[: PACKAGES.index(module.package)]
        for found in module.imports:
            if found.top in above or found.top in {"tests", "docs"}:
                text = (
                    f"{module.package} imports {found.module}; imports go down only "
                    f"({' -> '.join(PACKAGES)}): move what is needed down, or pass it in"
                )
                yield module.says(found.line, text)


def no_import_inside_a_function(tree: Tree) -> Iterator[str]:
    """An import inside a function hides a dependency, and often a cycle."""
    for module in tree:
        for function in module.nodes:
            if not isinstance(function, FUNCTIONS):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield module.says(node.lineno, "an import inside a function; move it to the module's top")


def no_import_from_the_own_package_root(tree: Tree) -> Iterator[str]:
    """A module inside a package imports from the concrete module, not from that package's `__init__`."""
    for module in tree:
        for found in module.imports:
            if _is_own_root(module, found, tree):
                text = (
                    f"imports {found.name or found.module} from the root of its own package {found.module}; "
                    "import from the module that defines it"
                )
                yield module.says(found.line, text)


def _is_own_root(module: Module, found: Import, tree: Tree) -> bool:
    root = tree.by_name.get(found.module)
    if root is None or not root.is_package or root is module:
        return False
    is_submodule = f"{found.module}.{found.name}" in tree.by_name
    return module.name.startswith(f"{found.module}.") and not is_submodule


def no_import_cycle(tree: Tree) -> Iterator[str]:
    """No module of ours reaches itself through imports."""
    edges = {module.name: tree.imported_by(module) for module in tree}
    done: set[str] = set()
    for start in sorted(edges):
        cycle = _cycle(start, edges, done, [])
        if cycle:
            yield f"import cycle: {' -> '.join(cycle)}; move what both need into a module below them"


def _cycle(name: str, edges: Mapping[str, tuple[str, ...]], done: set[str], path: list[str]) -> list[str]:
    if name in path:
        return [*path[path.index(name) :], name]
    if name in done:
        return []
    done.add(name)
    found = (_cycle(following, edges, done, [*path, name]) for following in edges[name])
    return next((cycle for cycle in found if cycle), [])


def third_parties_stay_where_they_belong(tree: Tree) -> Iterator[str]:
    """Each dependency has the layer that may know it; everything else is no dependency."""
    for module in tree.within(*PACKAGES):
        for found in module.imports:
            if found.top in PACKAGES or found.top in sys.stdlib_module_names:
                continue
            homes = HOMES.get(found.top)
            if homes is None:
                yield module.says(found.line, f"imports {found.top}, which is no dependency of this project")
            elif not any(module.name == home or module.name.startswith(f"{home}.") for home in homes):
                yield module.says(found.line, f"imports {found.top}, which only {' and '.join(homes)} may")


def cron_and_zones_have_one_module_each(tree: Tree) -> Iterator[str]:
    """croniter has one importing module, zoneinfo and tzdata have one, and so have holidays."""
    subjects = (
        ("croniter", {"croniter"}),
        ("zoneinfo and tzdata", {"zoneinfo", "tzdata"}),
        ("holidays", {"holidays"}),
    )
    for subject, names in subjects:
        users = sorted(module.where for module in tree.within(*PACKAGES) if uses(module, names))
        if len(users) != 1:
            yield f"{subject} must be imported in exactly one module, found {', '.join(users) or 'none'}"


def uses(module: Module, names: set[str]) -> bool:
    if any(found.top in names for found in module.imports):
        return True
    loaders = {"files", "import_module", "version", "distribution"}
    return any(
        isinstance(argument, ast.Constant) and argument.value in names
        for name, call in module.calls
        if name.rpartition(".")[2] in loaders
        for argument in call.args
    )


def every_folder_is_a_package(has_init: Mapping[str, bool]) -> Iterator[str]:
    """A folder with modules and no `__init__.py` is left out of what is installed."""
    for folder in sorted(has_init):
        if not has_init[folder]:
            yield f"{folder}: has modules and no __init__.py; it would not be installed"
