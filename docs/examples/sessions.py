"""A session bounds what goes on in it, a project keeps its runs together, and a preview says who is in the way."""

from __future__ import annotations

from logistics import OrchestrationEngine, ProjectManager, ResourceManager, WorkflowManager


def prepare(model: str) -> list[str]:
    """Return what is to be trained."""
    return [f"{model}, part {part}" for part in (1, 2, 3)]


def train(item: str) -> str:
    """Train one part: it holds a device while it runs."""
    return f"{item}: trained"


def main() -> None:
    """Train three models, two at a time, two parts of all of them at a time."""
    with OrchestrationEngine() as engine:
        resources = ResourceManager(engine=engine)
        resources.add_resource("device", "GPU", 2)
        ProjectManager(engine=engine).create_project("models")
        session = engine.create_session(
            "ada", max_parallel_workflows=2, max_parallel_tasks=2, timeout_seconds=3600
        )
        workflows = WorkflowManager(engine, session_id=session, project="models")
        training = workflows.create("training").add_step("prepare", prepare)
        training.add_step(
            "train", train, map_over="prepare", resources={"device": 1}, retry_on=ConnectionError
        )

        runs = [workflows.start("training", model=model) for model in ("small", "middle", "large")]
        for run in runs:
            print(run.result(30).output)
            for step in run.timeline():
                tries = [attempt.outcome for attempt in step.attempts]
                print(f"  {step.name}: {step.status}, {step.items or 1} calls, {tries}")
        print("the first of its story:", runs[0].history()[0].event)

        held = resources.allocate("device", requester=session, amount=2)
        preview = resources.preview({"device": 1})
        print(
            "granted at once:", preview.granted, "held by the session:", session in preview.holders["device"]
        )
        print(
            "closed:", engine.close_session(session), "given back:", resources.preview({"device": 2}).granted
        )
        print("released before:", held is not None and not resources.release(held.allocation_id))
        print(len(list(ProjectManager(engine=engine).list_runs("models"))) >= len(runs), "under the project")
        print("does not fit the code of today:", workflows.upgrade_check())


if __name__ == "__main__":
    main()
