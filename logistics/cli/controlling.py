"""Orders to the runs of a store from the command line, while no other process has the store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from actors.runtime.errors import InputError
from logistics.cli.opening import open_existing
from logistics.cli.options import JsonOption, StoreOption
from logistics.cli.output import say_done
from logistics.errors import RunNotFoundError
from logistics.orchestration.workflow_manager import WorkflowManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logistics.orchestration.run import WorkflowRun

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.")]
StepArgument = Annotated[str, typer.Argument(metavar="STEP", help="The name of a step.")]


def signal(
    run: RunArgument,
    step: StepArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What is sent, as JSON.")] = "null",
    *,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Send a value to a step that waits for one, or will, such as an approval."""
    payload = _value(value)
    with _run(run, store) as found:
        found.signal(step, payload)
        say_done(json, "sent", run=found.run_id, step=step)


def cancel(run: RunArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Cancel a run that has not ended; what it has done is undone, where its steps say how."""
    with _run(run, store) as found:
        say_done(json, "cancelled" if found.cancel() else "has ended already", run=found.run_id)


def pause(run: RunArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Begin no more steps of a run until it is resumed."""
    with _run(run, store) as found:
        found.pause()
        say_done(json, "paused", run=found.run_id)


def resume(run: RunArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Go on with a run that was paused."""
    with _run(run, store) as found:
        found.resume()
        say_done(json, "resumed", run=found.run_id)


def retry(run: RunArgument, *, store: StoreOption = None, json: JsonOption = False) -> None:
    """Begin a new run that does again what did not succeed in one that has ended."""
    with _run(run, store) as found:
        say_done(json, f"begun again: {found.retry().run_id}", run=found.run_id)


def restart(
    run: RunArgument, step: StepArgument, *, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Begin a new run that does again a step of one that has ended, and all that depends on it."""
    with _run(run, store) as found:
        say_done(json, f"begun again: {found.restart(step).run_id}", run=found.run_id, step=step)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        msg = f"VALUE: expected JSON, such as '{{\"ok\": true}}' or '\"text\"', got {text!r}: {error}"
        raise InputError(msg) from error


@contextmanager
def _run(run: str, store: Path | None) -> Iterator[WorkflowRun]:
    run_id = run.removeprefix("run:")
    with open_existing(store) as engine:
        found = WorkflowManager(engine).get_run(run_id)
        if found is None:
            msg = f"no run {run_id!r} on record"
            raise RunNotFoundError(msg)
        yield found
