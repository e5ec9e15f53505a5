"""The message API: jobs, a schedule and a workflow by commands alone, events that are heard, and who asked for what."""

from __future__ import annotations

import queue

from logistics import JobScheduler, OrchestrationEngine, RecordedEvent, WorkflowManager, messages


def greet(name: str) -> str:
    """Be a job."""
    return f"hello, {name}"


def build(version: str) -> str:
    """Be a step."""
    return f"app-{version}.whl"


def jobs(engine: OrchestrationEngine) -> None:
    """Enqueue twice under one id: one job; ask about it; have it run; read what it returned from the log."""
    spec = messages.JobSpec(
        "greet-ada", "greetings", "greet", messages.function_ref(greet), messages.encode_call(["Ada"], {})
    )
    for request in ("request-1", "request-1-again"):
        print(engine.send(messages.EnqueueJobs(jobs=(spec,)), command_id=request))
    stats: messages.QueueStats = engine.send(messages.GetStats(queue="greetings"))
    print("ready:", stats.ready)
    JobScheduler(engine=engine).process("greetings")
    _, event = engine.history("job:greet-ada")[-1]
    assert isinstance(event, messages.JobCompleted)
    print(messages.decode_value(event.result))


def schedule(engine: OrchestrationEngine) -> None:
    """Put a schedule on record, and see when it is due."""
    put = messages.PutSchedule(
        "nightly",
        "nightly-1",
        messages.CronSpec("30 2 * * *", "Europe/Zurich"),
        messages.JobTemplate(messages.function_ref(greet), messages.encode_call(["night"], {})),
    )
    print(engine.send(put))
    (view,) = engine.send(messages.GetSchedules(names=("nightly",)))
    assert view.next_us is not None


def workflow(engine: OrchestrationEngine) -> None:
    """Define a workflow, begin a run of it under an id of our own, and send what it waits for."""
    workflows = WorkflowManager(engine)
    release = workflows.create("release").add_step("build", build).add_wait("approval")
    engine.send(release.define_command())
    run_id = engine.send(workflows.start_command("release", "release-1.2", version="1.2"))
    if engine.send(messages.GetRun(run_id)) is not None:  # the second time it has ended long ago
        engine.send(messages.SignalRun(run_id, "approval", messages.encode_result("ada")))
    run = workflows.get_run(run_id)
    assert run is not None
    print(run.result(timeout=60).outputs)


def main() -> None:
    """Do all of it, then hear of it."""
    with OrchestrationEngine() as engine:
        jobs(engine)
        schedule(engine)
        workflow(engine)
        heard: queue.Queue[RecordedEvent] = queue.Queue()
        subscription = engine.listen("*", heard.put, after=0)
        while (recorded := heard.get(timeout=10)).tag != "run.completed":
            print(recorded.position, recorded.tag, recorded.entity, "because of", recorded.cause)
        print("go on after", subscription.position)


if __name__ == "__main__":
    main()
