"""Resources that are counted, a session that holds some, a project, and tasks that depend on each other."""

from __future__ import annotations

from logistics import (
    Job,
    OrchestrationEngine,
    ProjectManager,
    ResourceManager,
    TaskOrchestrator,
    WorkflowManager,
)


def train(model: str) -> str:
    """Stand for work on a scarce device; wait until there is one."""
    held = ResourceManager().allocate("gpu", requester=f"train-{model}", timeout=10)
    if held is None:
        raise TimeoutError("no device within 10 s")
    try:
        return f"{model} trained"
    finally:
        ResourceManager().release(held.allocation_id)


def compare() -> str:
    """Run when both models are there."""
    return "compared"


def main() -> None:
    """Use one engine for all of it."""
    with OrchestrationEngine() as engine:
        resources = ResourceManager(engine=engine)
        resources.add_resource("gpu", "device", 1)
        resources.add_resource("memory", "GB", 64)

        # What is held under a session's id is given back, at the latest, when the session is closed.
        session = engine.create_session("ada", name="experiments", max_parallel_workflows=1)
        print(resources.allocate_all(session, {"gpu": 1, "memory": 16}))
        print("a second one:", resources.allocate("gpu", "somebody else"))  # None: it does not wait
        print("closed:", engine.close_session(session), resources.get_usage("gpu"))

        with TaskOrchestrator(engine=engine) as tasks:
            models = [tasks.submit_task(Job(name, train, args=[name])) for name in ("small", "large")]
            last = tasks.submit_task(Job("compare", compare), depends_on=models)
            tasks.wait_for_completion(timeout=30)
            print(tasks.get_task_result(last))

        project = ProjectManager(engine=engine).create_project("models", description="what we train")
        print(project.name, project.status, project.folder.is_dir())

        pipeline = WorkflowManager(engine).create("pipeline")
        pipeline.add_step("train", train, kwargs={"model": "tiny"}).add_step("compare", compare)
        print(WorkflowManager(engine).run("pipeline").outputs)


if __name__ == "__main__":
    main()
