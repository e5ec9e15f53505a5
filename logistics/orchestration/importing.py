"""Importing what a workflow's file names: functions, and exceptions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import InputError, UnresolvedFunctionError
from actors.runtime.functions import FunctionRegistry
from logistics.orchestration.parsing import ConfigError
from logistics.task.life import find_condition

if TYPE_CHECKING:
    from logistics.orchestration.config import WorkflowDefinition


def import_functions(definition: WorkflowDefinition) -> dict[str, Callable[..., Any]]:
    """Every function and exception type, by what the file calls it; `ConfigError` names every one not found."""
    places = {
        f"steps[{index}].{key}": function
        for index, step in enumerate(definition.steps)
        for key, function in step.functions.items()
    }
    found = imported_functions(definition.path, places)
    functions: dict[str, Callable[..., Any]] = {places[place]: function for place, function in found.items()}
    return functions | imported_conditions(definition, FunctionRegistry())


def imported_conditions(
    definition: WorkflowDefinition, functions: FunctionRegistry
) -> dict[str, Callable[..., Any]]:
    """Every exception type, and function of an exception, by what the file calls it; `ConfigError`."""
    found: dict[str, Callable[..., Any]] = {}
    problems = []
    for index, step in enumerate(definition.steps):
        for key, name in step.conditions.items():
            try:
                found[name] = find_condition(name, functions.resolve)
            except (InputError, UnresolvedFunctionError) as error:
                problems.append(f"steps[{index}].{key}: {error}")
    if problems:
        raise ConfigError(definition.path, problems)
    return found


def imported_functions(file: Path, places: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
    """The functions that a file names, by their places in it; raises `ConfigError` that names every one not found.

    Modules beside the file are found as well as those that are installed: its folder is added to the end of
    the import path, where it shadows nothing, and stays there, so that recovered runs find them too.
    """
    folder = file.parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    registry = FunctionRegistry()
    functions: dict[str, Callable[..., Any]] = {}
    problems = []
    for place, function in places.items():
        try:
            _check_origin(function, folder)
            functions[place] = registry.resolve(function)
        except UnresolvedFunctionError as error:
            problems.append(f"{place}: {function!r}: {error.detail}")
        except InputError as error:
            problems.append(f"{place}: {error}")
    if problems:
        raise ConfigError(file, problems)
    return functions


def _check_origin(function: str, folder: Path) -> None:
    """Refuse a module beside the file whose name means another module: it would be imported instead."""
    top = function.partition(":")[0].partition(".")[0]
    beside = [path for path in (folder / f"{top}.py", folder / top / "__init__.py") if path.is_file()]
    spec = importlib.util.find_spec(top) if beside else None
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if beside and (origin is None or not any(origin.exists() and origin.samefile(path) for path in beside)):
        raise InputError(
            f"{beside[0].name} beside the file is hidden by another module {top!r} "
            f"({origin or 'built in'}); rename it"
        )
