"""What jobs and steps of these tests call."""

from __future__ import annotations

from typing import Any

from logistics import Queue

CANARY = "Mrs-Canary-of-Sparrow-Lane"


def greet(name: str) -> str:
    return f"hello {name}"


def spread(name: str) -> list[str]:
    return [f"{name} {n}" for n in range(3)]


def shout(item: str) -> str:
    return item.upper()


def complain(name: str) -> None:
    raise ValueError(f"no such person: {name}")


def stop_and_complain(name: str) -> None:
    Queue("mine").pause()
    complain(name)


def talk(name: str) -> str:
    print(f"talking to {name}")
    return name


def join(*names: str) -> str:
    return ", ".join(names)


def all_together(jobs: list[Any]) -> list[str]:
    return [f"hello {job.args[0]}" for job in jobs]


def undo(spread: list[str]) -> str:
    return f"undone {spread}"


def write(name: str, text: str) -> str:
    return f"{text} {name}"
