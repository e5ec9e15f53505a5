"""The message API: commands and queries are sent, events are heard, also those of the past."""

from __future__ import annotations

import threading
from typing import Any

from logistics import Job, JobScheduler, OrchestrationEngine, Queue, messages


def greet(name: str) -> str:
    """Be a job."""
    return f"hello, {name}"


def main() -> None:
    """Enqueue through the façade, ask and listen through messages."""
    with OrchestrationEngine() as engine:
        begin = engine.get_system_status()["position"]
        done = threading.Event()

        def heard(event: messages.Event, position: int) -> None:
            print(position, type(event).__name__, event.entity)
            if isinstance(event, messages.JobCompleted):
                done.set()

        def counted(tag: str, data: dict[str, Any]) -> None:
            print("handler:", tag, data["job_id"])

        # From a position on: what is on record already comes first, then what is new, in the order of the log.
        subscription = engine.subscribe("job.*", heard, after=begin)
        engine.register_event_handler("job.completed", counted)

        queue = Queue("greetings", engine=engine)
        queue.enqueue(Job("greet", greet, args=["Ada"]))
        stats: messages.QueueStats = engine.send(messages.GetStats(queue="greetings"))
        print("ready:", stats.ready)
        JobScheduler(engine=engine).process(queue)
        done.wait(timeout=3)

        # Commands are answered once what they did is on disk; a refusal is raised.
        engine.send(messages.AddResource(name="gpu", kind="device", capacity=2.0))
        print(engine.send(messages.GetResources()))
        print("go on after", subscription.position)


if __name__ == "__main__":
    main()
