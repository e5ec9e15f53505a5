"""Sessions: who works, within which limits, and what is given back when the work is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.messages import ReleaseAll
from actors.runtime.errors import InputError
from actors.runtime.values import encode_result
from actors.workflow.messages import CloseSession, CreateSession, GetSession
from actors.workflow.specs import SessionStatus
from logistics.ids import new_id
from logistics.inputs import (
    as_datetime,
    check_id,
    check_int,
    check_name,
    check_options,
    check_text,
    duration_us,
    instant_us,
)
from logistics.orchestration.allocations import check_amounts

if TYPE_CHECKING:
    from actors.workflow.messages import SessionView
    from logistics.orchestration.engine import OrchestrationEngine

MAX_PARALLEL = 10_000


class SessionMode(StrEnum):
    """How the calls of a session's runs go: side by side, or one at a time."""

    PARALLEL = "PARALLEL"
    SEQUENTIAL = "SEQUENTIAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationSession:
    """A session as it was when it was read; changing it is for the engine's methods.

    Times are aware datetimes in UTC; `timeout_seconds` is None for no limit.
    """

    session_id: str = field(default_factory=new_id)
    name: str = ""
    description: str = ""
    user_id: str = "system"
    mode: SessionMode = SessionMode.PARALLEL
    max_parallel_tasks: int = 4
    max_parallel_workflows: int = 2
    timeout_seconds: float | None = None
    resource_requirements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    status: SessionStatus = SessionStatus.ACTIVE

    def __post_init__(self) -> None:
        """Check every attribute. `InputError` names what is wrong, `PayloadError` what is no plain data."""
        check_id("session_id", self.session_id)
        if self.name != "":
            check_name("name", self.name)
        check_name("user_id", self.user_id)
        check_text("description", self.description)
        self._set("mode", _member("mode", self.mode, SessionMode))
        self._set("status", _member("status", self.status, SessionStatus))
        check_int("max_parallel_tasks", self.max_parallel_tasks, least=1, most=MAX_PARALLEL)
        check_int("max_parallel_workflows", self.max_parallel_workflows, least=1, most=MAX_PARALLEL)
        if self.timeout_seconds is not None:
            timeout_us = duration_us("timeout_seconds", self.timeout_seconds, least_us=1)
            self._set("timeout_seconds", timeout_us / 1e6)
        self._set("resource_requirements", check_amounts("resource_requirements", self.resource_requirements))
        self._set("metadata", _metadata(self.metadata))
        for name in INSTANTS:
            if getattr(self, name) is not None:
                self._set(name, as_datetime(instant_us(name, getattr(self, name))))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: instants as ISO 8601 text, statuses as their names."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        data |= {name: data[name] and data[name].isoformat() for name in INSTANTS}
        return data | {
            "mode": str(self.mode),
            "status": str(self.status),
            "resource_requirements": dict(self.resource_requirements),
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OrchestrationSession:
        """Return the session whose `to_dict` was `data`. `InputError` for a key that is none of it."""
        given = dict(_known(data, [each.name for each in fields(cls)]))
        for name in INSTANTS:
            if isinstance(given.get(name), str):
                given[name] = _instant(name, given[name])
        return cls(**given)


INSTANTS = ("created_at", "started_at", "updated_at", "completed_at")
DESCRIBED = (
    "session_id",
    "name",
    "description",
    "mode",
    "max_parallel_tasks",
    "max_parallel_workflows",
    "timeout_seconds",
    "resource_requirements",
    "metadata",
)
"""What whoever creates a session may say of it, besides its user."""


def create_session(engine: OrchestrationEngine, user_id: str, described: Mapping[str, Any]) -> str:
    """Record a session; return its id. With an id of one's own, repeating it is safe."""
    session = OrchestrationSession(user_id=user_id, **_known(described, DESCRIBED))
    data = session.to_dict()
    body = {name: data[name] for name in (*DESCRIBED, "user_id")}
    command = CreateSession(
        session.session_id,
        encode_result(body, limit=engine.max_payload),
        places=session.max_parallel_workflows,
        tasks=1 if session.mode is SessionMode.SEQUENTIAL else session.max_parallel_tasks,
        timeout_us=0
        if session.timeout_seconds is None
        else duration_us("timeout_seconds", session.timeout_seconds),
    )
    engine.ask("supervisor", command)
    return session.session_id


def get_session(engine: OrchestrationEngine, session_id: str) -> OrchestrationSession | None:
    """Return a session as it is now; None if there is none with this id."""
    view = engine.ask("supervisor", GetSession(check_id("session_id", session_id)))
    return None if view is None else read_session(view)


def close_session(engine: OrchestrationEngine, session_id: str) -> bool:
    """End a session and give back what is held under its id; whether it was open."""
    closed: bool = engine.ask("supervisor", CloseSession(check_id("session_id", session_id)))
    engine.ask("queue", ReleaseAll(session_id))  # the supervisor says so, too: this waits for it
    return closed


def read_session(view: SessionView) -> OrchestrationSession:
    """Return what the supervisor says of a session as users see it."""
    created = as_datetime(view.created_us)
    closed = as_datetime(view.closed_us) if view.closed_us else None
    described = msgspec.msgpack.decode(view.data)
    return OrchestrationSession.from_dict(
        described
        | {
            "created_at": created,
            "started_at": created,
            "updated_at": closed or created,
            "completed_at": closed,
            "status": view.status,
        }
    )


def _known(data: Mapping[str, Any], names: Any) -> Mapping[str, Any]:
    check_options("session", map(str, data), names)
    return data


def _member(what: str, value: Any, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        msg = f"{what}: expected one of {', '.join(kind)}, got {value!r}"
        raise InputError(msg) from None


def _metadata(data: Any) -> dict[str, Any]:
    """Return a copy of the metadata as the store would give it back: what is no plain data is refused."""
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        msg = f"metadata: expected a mapping with text as keys, got {data!r}"
        raise InputError(msg)
    result: dict[str, Any] = msgspec.msgpack.decode(encode_result(dict(data)))
    return result


def _instant(what: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = f"{what}: expected an instant in ISO 8601, got {text!r}"
        raise InputError(msg) from None
