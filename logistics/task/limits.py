"""What a queue lets through: how many at one time, how many in a span of time, who shares with whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from actors.queue import specs
from actors.runtime.errors import InputError
from logistics.inputs import Duration, check_int, check_name, check_positive, duration_us
from logistics.task.options import DEFAULT_RETRIES, DEFAULT_RETRY_DELAY, retry_policy

if TYPE_CHECKING:
    from actors.queue.specs import QueueSettings

ENGINES_OWN = specs.RetryPolicy()
MAX_CONCURRENCY = 2**31
MAX_WINDOW = 10_000
"""Starts that a sliding window remembers."""
MAX_COUNT = 1_000_000
MAX_WEIGHT = 1_000
LONGEST_RATE_US = 2**45


class Rate(msgspec.Struct, frozen=True):
    """At most `count` starts in any span of `per` seconds (a sliding window).

    With `burst` it is a token bucket instead: `count` per `per` in the long run, evenly, and up to `burst` at once
    after a pause.
    """

    count: int
    per: Duration = 1.0
    burst: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no rate: `InputError`."""
        burst = check_int("Rate.burst", self.burst, least=0, most=MAX_COUNT)
        if not burst and isinstance(self.count, int) and self.count > MAX_WINDOW:
            msg = (
                f"Rate.count: expected at most {MAX_WINDOW} without burst=, or that as well, got {self.count}"
            )
            raise InputError(msg)
        check_int("Rate.count", self.count, least=1, most=MAX_COUNT if burst else MAX_WINDOW)
        if duration_us("Rate.per", self.per, least_us=1) > LONGEST_RATE_US:
            msg = f"Rate.per: expected at most a year, got {self.per!r}"
            raise InputError(msg)


def rate(what: str, value: object) -> specs.Rate | None:
    """Return a rate as the queue takes it."""
    if value is None:
        return None
    if not isinstance(value, Rate):
        msg = f"{what}: expected a Rate, as in Rate(10, per=60), got {value!r}"
        raise InputError(msg)
    return specs.Rate(value.count, duration_us(f"{what}.per", value.per), value.burst)


def limit(what: str, value: object) -> int:
    """Return how many at one time; None for any number, as 0."""
    return 0 if value is None else check_int(what, value, least=1, most=MAX_CONCURRENCY)


def limits_of_functions(
    value: Mapping[Callable[..., object], int] | None, name_of: Callable[[Callable[..., object]], str]
) -> tuple[tuple[str, int], ...]:
    """Return limits by the functions' names."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        msg = f"per_function: expected a mapping of functions to numbers, got {value!r}"
        raise InputError(msg)
    return tuple(
        sorted(
            (name_of(function), check_int("per_function", most, least=1, most=MAX_CONCURRENCY))
            for function, most in value.items()
        )
    )


def weights(value: Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
    """Return the shares of groups."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        msg = f"weights: expected a mapping of groups to numbers, got {value!r}"
        raise InputError(msg)
    return tuple(
        sorted(
            (check_name("weights", group), check_int(f"weights[{group!r}]", weight, least=1, most=MAX_WEIGHT))
            for group, weight in value.items()
        )
    )


def ageing(value: Duration | None) -> int:
    """Return how long a job waits for one step of priority, in microseconds; None for never, as 0."""
    return 0 if value is None else duration_us("ageing", value, least_us=1)


def retry(max_retries: int | None, retry_delay: Duration | None) -> specs.RetryPolicy | None:
    """Return what holds for jobs that say nothing; None for the engine's own default."""
    if max_retries is None and retry_delay is None:
        return None
    if retry_delay is not None:
        duration_us("retry_delay", retry_delay)  # a list is for jobs: of a queue it would be its first delay
    policy, _ = retry_policy(
        DEFAULT_RETRIES if max_retries is None else max_retries,
        DEFAULT_RETRY_DELAY if retry_delay is None else retry_delay,
        "exponential",
        None,
    )
    return policy


def resources(value: Mapping[str, float] | None) -> tuple[tuple[str, float], ...]:
    """Return what a job needs, by name."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        msg = f"resources: expected a mapping of names to amounts, got {value!r}"
        raise InputError(msg)
    return tuple(
        sorted(
            (check_name("resources", name), check_positive(f"resources[{name!r}]", amount))
            for name, amount in value.items()
        )
    )


class Limits(msgspec.Struct, frozen=True):
    """What `Queue.limits` returns: the settings of a queue as `Queue.configure` took them."""

    concurrency: int | None
    per_key: int | None
    per_function: Mapping[str, int]
    """By the functions' names."""
    rate: Rate | None
    rate_per_key: Rate | None
    weights: Mapping[str, int]
    ageing: float | None
    """Seconds."""
    max_retries: int
    retry_delay: float
    """For jobs that keep the defaults."""
    retry_rate: Rate | None


def limits_of(settings: QueueSettings) -> Limits:
    """Return settings as their user reads them."""
    return Limits(
        settings.concurrency or None,
        settings.key_concurrency or None,
        dict(settings.function_concurrency),
        _rate_of(settings.rate),
        _rate_of(settings.key_rate),
        dict(settings.weights),
        settings.ageing_us / 1e6 or None,
        (settings.retry or ENGINES_OWN).max_retries,
        (settings.retry or ENGINES_OWN).base_us / 1e6,
        _rate_of(settings.retry_rate),
    )


def _rate_of(value: specs.Rate | None) -> Rate | None:
    return None if value is None else Rate(value.count, value.per_us / 1e6, value.burst)
