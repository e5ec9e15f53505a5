"""From a file's definition of a workflow to the one that the store keeps, and the parameters of its runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from actors.runtime.values import encode_result
from logistics.inputs import duration_us
from logistics.orchestration import config, parameters
from logistics.orchestration.definition import Definition, ParameterDefinition, define_step
from logistics.orchestration.importing import import_functions, imported_conditions
from logistics.task.life import conditions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.step_options import StepOptions


def read_definitions(path: str | os.PathLike[str], engine: OrchestrationEngine) -> list[Definition]:
    """Read a file, and those it names as `workflows`, and import their functions; the first is the file's own.

    `ConfigError` names every mistake in a file with its place.
    """
    return [store_definition(file, import_functions(file), engine) for file in read_files(path)]


def read_files(path: str | os.PathLike[str]) -> list[config.WorkflowDefinition]:
    """Read a file, and those it names as `workflows`, each once, importing nothing."""
    files = [config.load_workflow_file(path)]
    seen = {files[0].path.resolve()}
    for file in files:  # grows by those that are named
        for other in file.workflows:
            if other.resolve() not in seen:
                seen.add(other.resolve())
                files.append(config.load_workflow_file(other))
    return files


def definition_of(data: object, engine: OrchestrationEngine) -> Definition:
    """Return the definition that plain data, as a file has them, mean; `ConfigError`."""
    file = config.workflow_of(data, Path("workflow"))
    functions = {
        function: engine.functions.resolve(function)
        for step in file.steps
        for function in step.functions.values()
    }
    return store_definition(file, functions | imported_conditions(file, engine.functions), engine)


def store_definition(
    file: config.WorkflowDefinition, functions: Mapping[str, Callable[..., Any]], engine: OrchestrationEngine
) -> Definition:
    """Return a file's definition as the store keeps it."""
    register = engine.functions.register
    steps = tuple(
        define_step(
            step.name,
            register(functions[step.function]) if step.function else "",
            _found(step.options, functions),
            depends_on=step.declared,
            register=register,
            args=step.args,
            kwargs=dict(step.kwargs),
            max_payload=engine.max_payload,
            templated=step.templated,
            when=step.when,
            when_function=register(functions[step.when_function]) if step.when_function else "",
            compensate=register(functions[step.compensate]) if step.compensate else "",
            workflow=step.workflow,
            **_waits(step.wait),
        )
        for step in file.steps
    )
    params = (
        None
        if file.params is None
        else tuple(
            ParameterDefinition(
                each.name, each.type, each.default, each.has_default, each.required, each.description
            )
            for each in file.params
        )
    )
    return Definition(file.name, file.description, params, steps)


def _found(options: StepOptions, functions: Mapping[str, Callable[..., Any]]) -> StepOptions:
    """Return options with the exceptions, and functions of them, that they name."""
    if not (options.retry_on or options.give_up_on):
        return options
    return replace(
        options,
        retry_on=tuple(functions[str(name)] for name in conditions("retry_on", options.retry_on)),
        give_up_on=tuple(functions[str(name)] for name in conditions("give_up_on", options.give_up_on)),
    )


def _waits(wait: config.WaitDefinition | None) -> dict[str, Any]:
    if wait is None:
        return {}
    return {
        "wait": wait.kind,
        "wait_us": 0 if wait.limit is None else duration_us("wait", wait.limit),
        "schema": None if wait.schema is None else dict(wait.schema),
    }


def checked_params(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run: converted and completed as the definition declares, if it does."""
    if definition.params is None:
        return dict(given)
    declared = tuple(
        parameters.ParameterDefinition(
            name=each.name,
            type=cast("parameters.ParameterType", each.type),
            default=each.default,
            has_default=each.has_default,
            required=each.required,
            description=each.description,
        )
        for each in definition.params
    )
    # The declaration is on record, the file may be gone: mistakes are named by the workflow's name.
    return parameters.run_parameters(
        config.WorkflowDefinition(definition.name, Path(definition.name), params=declared), given
    )


def encode_params(params: Mapping[str, Any], *, limit: int) -> bytes:
    """Return a run's parameters as bytes: the same whatever the order they are given in."""
    return encode_result(dict(sorted(params.items())), limit=limit, name="params")
