"""From a file's definition of a workflow to the one that the store keeps, and the parameters of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from logistics.orchestration import config
from logistics.orchestration.definition import Definition, ParameterDefinition, define_step
from logistics.task.job import DEFAULT_RETRY_DELAY

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from logistics.orchestration.engine import OrchestrationEngine


def read_definition(path: str | os.PathLike[str], engine: OrchestrationEngine) -> Definition:
    """Read a file and import its functions; `ConfigError` names every mistake with its place."""
    file = config.load_workflow_file(path)
    _refuse_what_is_not_there(file)
    functions = config.import_functions(file)
    steps = tuple(
        define_step(
            step.name,
            engine.functions.register(functions[step.name]),
            depends_on=step.dependencies,
            args=step.args,
            kwargs=dict(step.kwargs),
            max_retries=step.max_retries,
            retry_delay=DEFAULT_RETRY_DELAY if step.retry_delay is None else step.retry_delay,
            queue=step.queue,
            priority=step.priority,
            max_payload=engine.max_payload,
            templated=step.templated,
            when=step.when,
            required=step.required,
            on_failure=step.on_failure,
            last=step.last,
        )
        for step in file.steps
    )
    params = tuple(
        ParameterDefinition(
            each.name, each.type, each.default, each.has_default, each.required, each.description
        )
        for each in file.params
    )
    return Definition(file.name, file.description, params, steps)


def _refuse_what_is_not_there(file: config.WorkflowDefinition) -> None:
    """Refuse a timeout: nothing would end the step, and its author would believe that something did."""
    problems = [
        f"steps[{index}].timeout: steps cannot be timed out yet, leave it out"
        for index, step in enumerate(file.steps)
        if step.timeout is not None
    ]
    if problems:
        raise config.ConfigError(file.path, problems)


def checked_params(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run: converted and completed as the definition declares, if it does."""
    if definition.params is None:
        return dict(given)
    declared = tuple(
        config.ParameterDefinition(
            name=each.name,
            type=cast("config.ParameterType", each.type),
            default=each.default,
            has_default=each.has_default,
            required=each.required,
            description=each.description,
        )
        for each in definition.params
    )
    # The declaration is on record, the file may be gone: mistakes are named by the workflow's name.
    return config.run_parameters(
        config.WorkflowDefinition(definition.name, Path(definition.name), params=declared), given
    )
