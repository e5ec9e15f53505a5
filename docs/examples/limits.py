"""Limits: how many run at one time, how fast they start, who shares with whom, what they need."""

from __future__ import annotations

import threading

from logistics import Job, JobScheduler, Queue, Rate, ResourceManager

running: dict[str, int] = {}
most: dict[str, int] = {}
lock = threading.Lock()


def call(customer: str) -> None:
    """Stand for a call that a customer pays for, and see how many go on at one time."""
    with lock:
        running[customer] = running.get(customer, 0) + 1
        most[customer] = max(most.get(customer, 0), running[customer])
    threading.Event().wait(0.005)
    with lock:
        running[customer] -= 1


def train(model: str) -> str:
    """Stand for work that needs a GPU."""
    return f"{model} trained"


def main() -> None:
    """Show what holds jobs back."""
    queue = Queue("calls")
    queue.configure(
        concurrency=4,  # of this queue at one time
        per_key=1,  # of one customer at one time
        rate_per_key=Rate(100, per=1, burst=20),  # of one customer, 100 a second and 20 at once
        weights={"gold": 3},  # gold gets three turns for one of everybody else
        ageing=60,  # a minute of waiting is worth one step of priority
    )
    for customer, group in (("ada", "gold"), ("bob", "silver"), ("eve", "silver")):
        queue.enqueue_many(
            Job("call", call, args=[customer], concurrency_key=customer, group=group) for _ in range(5)
        )
    print(JobScheduler().process(queue))
    print("at one time:", dict(sorted(most.items())))

    ResourceManager().add_resource("gpu", "hardware", 2)
    models = Queue("models")
    ids = models.enqueue_many(
        Job("train", train, args=[name], resources={"gpu": need})
        for name, need in (("small", 1), ("large", 2), ("tiny", 0.5))
    )
    JobScheduler().process(models)
    print([models.result(job_id) for job_id in ids])
    print(queue.limits())


if __name__ == "__main__":
    main()
