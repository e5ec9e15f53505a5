"""What is special about a job: its unique key, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from actors.queue.specs import Backoff, Conflict, RetryPolicy, Scope, Unique
from actors.runtime.errors import InputError
from logistics.inputs import check_int, check_name, duration_us

if TYPE_CHECKING:
    from logistics.inputs import Duration

MAX_RETRIES = 1_000_000
DEFAULT_RETRIES = 3
DEFAULT_RETRY_DELAY = 1.0
RETRY_CAP_US = 300_000_000
SHAPES = ("exponential", "linear", "fixed")
SCOPES = (Scope.LIVE, Scope.PENDING)
WITHOUT_KEY: Mapping[str, object] = MappingProxyType(
    {"unique_scope": "until_finished", "on_conflict": "reject", "debounce": None}
)
"""What a job says that says nothing about a unique key."""
UNSAID = RetryPolicy()
"""When a job is tried again that says nothing of it: its queue may say otherwise."""
SAID = Backoff("exponential", jitter=True)
"""What a job says that wants just this by itself: the delays are the same."""


def job_retries(
    max_retries: int | None,
    retry_delay: Duration | Sequence[Duration] | None,
    backoff: str | None,
    jitter: bool | None,  # noqa: FBT001 -- as the job's own parameters
) -> tuple[RetryPolicy, Backoff | None]:
    """Return when a job is tried again, as the queue takes it; what is None is as usual, but said all the same."""
    if max_retries is None and retry_delay is None and backoff is None and jitter is None:
        return UNSAID, None
    policy, shape = retry_policy(
        DEFAULT_RETRIES if max_retries is None else max_retries,
        DEFAULT_RETRY_DELAY if retry_delay is None else retry_delay,
        "exponential" if backoff is None else backoff,
        jitter,
    )
    return policy, SAID if shape is None and policy == UNSAID else shape


def retry_policy(
    max_retries: int,
    retry_delay: Duration | Sequence[Duration],
    backoff: str,
    jitter: bool | None,  # noqa: FBT001 -- as the job's own parameters
) -> tuple[RetryPolicy, Backoff | None]:
    """Return when a job is tried again, as the queue takes it."""
    if jitter is None and (type(max_retries), type(retry_delay), type(backoff)) == (int, float, str):
        return _shared(max_retries, retry_delay, backoff)
    return _checked(max_retries, retry_delay, backoff, jitter)


@lru_cache
def _shared(max_retries: int, retry_delay: float, backoff: str) -> tuple[RetryPolicy, Backoff | None]:
    return _checked(max_retries, retry_delay, backoff, None)


def _checked(
    max_retries: int,
    retry_delay: Duration | Sequence[Duration],
    backoff: str,
    jitter: bool | None,  # noqa: FBT001 -- as above
) -> tuple[RetryPolicy, Backoff | None]:
    check_int("max_retries", max_retries, least=0, most=MAX_RETRIES)
    if backoff not in SHAPES:
        msg = f"backoff: expected one of {', '.join(SHAPES)}, got {backoff!r}"
        raise InputError(msg)
    if jitter is not None and not isinstance(jitter, bool):
        msg = f"jitter: expected True, False or None, got {jitter!r}"
        raise InputError(msg)
    if isinstance(retry_delay, int | float | timedelta) or not isinstance(retry_delay, list | tuple):
        base_us = duration_us("retry_delay", retry_delay)  # type: ignore[arg-type]  # it says what it expected
        policy = RetryPolicy(max_retries, base_us, max(base_us, RETRY_CAP_US))
        if backoff == "exponential" and jitter in (None, True):
            return policy, None
        return policy, Backoff(backoff, bool(jitter))
    if not retry_delay:
        msg = "retry_delay: expected at least one delay in the list"
        raise InputError(msg)
    delays = tuple(duration_us(f"retry_delay[{n}]", delay) for n, delay in enumerate(retry_delay))
    return RetryPolicy(max_retries, delays[0], max(delays)), Backoff("list", bool(jitter), delays)


def retry_delay_of(policy: RetryPolicy, backoff: Backoff | None) -> float | list[float]:
    """Return the delays as their user gave them."""
    if backoff is not None and backoff.delays:
        return [delay / 1e6 for delay in backoff.delays]
    return policy.base_us / 1e6


def unique(
    key: str | None, scope: str | Duration, on_conflict: str, debounce: Duration | None
) -> tuple[Unique | None, int]:
    """Return a unique key as the queue takes it, and for how many microseconds it may be replaced."""
    if key is None:
        said = {"unique_scope": scope, "on_conflict": on_conflict, "debounce": debounce}
        if said != WITHOUT_KEY:
            what = next(name for name, value in said.items() if value != WITHOUT_KEY[name])
            msg = f"{what}: expected a unique_key with it, which says what is the same"
            raise InputError(msg)
        return None, 0
    check_name("unique_key", key)
    try:
        conflict = Conflict(on_conflict)
    except ValueError:
        msg = f"on_conflict: expected one of {', '.join(Conflict)}, got {on_conflict!r}"
        raise InputError(msg) from None
    if debounce is not None:
        return Unique(key, Scope.PENDING, Conflict.REPLACE), duration_us("debounce", debounce, least_us=1)
    if not isinstance(scope, str):
        return Unique(key, Scope.PERIOD, conflict, duration_us("unique_scope", scope, least_us=1)), 0
    if scope not in SCOPES:
        msg = f"unique_scope: expected {', '.join(SCOPES)} or a number of seconds, got {scope!r}"
        raise InputError(msg)
    return Unique(key, Scope(scope), conflict), 0
