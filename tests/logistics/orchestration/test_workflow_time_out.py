"""What becomes of others when a step has waited in vain, and when it need not wait at all: as its author says."""

from __future__ import annotations

from typing import Any

import pytest

from logistics.orchestration.workflow_manager import WorkflowManager


def go_on(approval: Any) -> str:
    return f"approved: {approval}"


def run(manager: WorkflowManager, *, needed: bool, **options: Any) -> tuple[str, str, str]:
    """How a run ends, its step that waits for a signal which never comes, and what depends on that one."""
    workflow = manager.create("w")
    workflow.add_wait("approval", timeout=0.001, when="{{params.needed}}", **options)
    workflow.add_step("go_on", go_on)
    result = manager.run("w", needed=needed)
    return result.status, result.steps["approval"].status, result.steps["go_on"].status


@pytest.mark.parametrize(
    ("options", "in_vain", "not_needed"),
    [
        ({}, ("FAILED", "SKIPPED"), ("COMPLETED", "SKIPPED")),
        ({"required": False}, ("COMPLETED", "COMPLETED"), ("COMPLETED", "COMPLETED")),
        ({"required": False, "on_failure": "skip"}, ("COMPLETED", "SKIPPED"), ("COMPLETED", "SKIPPED")),
        ({"on_failure": "continue"}, ("FAILED", "COMPLETED"), ("COMPLETED", "COMPLETED")),
        ({"on_failure": "stop"}, ("FAILED", "SKIPPED"), ("COMPLETED", "SKIPPED")),
        ({"on_failure": "skip_if_failed"}, ("FAILED", "SKIPPED"), ("COMPLETED", "COMPLETED")),
        (
            {"required": False, "on_failure": "skip_if_failed"},
            ("COMPLETED", "SKIPPED"),
            ("COMPLETED", "COMPLETED"),
        ),
    ],
    ids=lambda value: (
        "-".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, dict) else None
    ),
)
def test_a_wait_says_what_it_means_that_time_ran_out_and_that_it_was_skipped(
    manager: WorkflowManager,
    options: dict[str, Any],
    in_vain: tuple[str, str],
    not_needed: tuple[str, str],
) -> None:
    whole, wait, after = run(manager, needed=True, **options)
    assert (whole, wait, after) == (in_vain[0], "FAILED", in_vain[1])
    whole, wait, after = run(manager, needed=False, **options)
    assert (whole, wait, after) == (not_needed[0], "SKIPPED", not_needed[1])


def test_what_was_skipped_because_something_failed_was_not_spared(manager: WorkflowManager) -> None:
    workflow = manager.create("chain")
    workflow.add_wait("first", timeout=0.001)
    workflow.add_wait("second", on_failure="skip_if_failed")
    workflow.add_step("third", go_on)
    result = manager.run("chain")
    assert [step.status for step in result.steps.values()] == ["FAILED", "SKIPPED", "SKIPPED"]
    assert result.status == "FAILED"
