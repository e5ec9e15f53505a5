"""What is handed out says what it is."""

from __future__ import annotations

from datetime import UTC, datetime

from logistics.orchestration.engine import OrchestrationEngine
from logistics.telemetry.prometheus import PrometheusMetrics
from logistics.telemetry.server import MonitoringServer
from logistics.testing import VirtualClock


def test_what_follows_a_log_says_what_it_hears_of_and_how_far_it_is() -> None:
    with OrchestrationEngine(":memory:") as engine:
        begin = engine.as_of().position
        subscription = engine.subscribe("job.*", print)
        assert repr(subscription) == f"Subscription('job.*', position={begin})"
        subscription.cancel()
        assert repr(subscription) == f"Subscription('job.*', position={begin}, cancelled)"
        assert repr(PrometheusMetrics(engine)) == "PrometheusMetrics(OrchestrationEngine(':memory:'))"
        with MonitoringServer(engine, port=0) as server:
            assert repr(server) == f"MonitoringServer('http://127.0.0.1:{server.port}')"


def test_a_virtual_clock_says_what_it_shows() -> None:
    assert repr(VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))) == "VirtualClock(2027-01-01T00:00:00+00:00)"
