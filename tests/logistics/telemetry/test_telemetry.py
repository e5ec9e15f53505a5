"""Telling others how the engine does: what is told is what happened, and asking costs nobody anything."""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors.runtime.errors import InputError
from logistics import (
    CronScheduler,
    Job,
    JobScheduler,
    MonitoringServer,
    OpenTelemetryTracing,
    OrchestrationEngine,
    PrometheusMetrics,
    Queue,
    WorkflowManager,
    log_events,
)
from logistics.telemetry import tracing
from tests.logistics.audit import functions

PATIENCE_S = 30
SAMPLE = re.compile(r'(?P<name>\w+)(\{(?P<labels>(\w+="([^"\\\n]|\\.)*",?)*)\})? (?P<value>\S+)')


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OrchestrationEngine]:
    with OrchestrationEngine(tmp_path / "store") as engine:
        yield engine


def work(engine: OrchestrationEngine) -> None:
    queue = Queue('q"\\', engine=engine)
    queue.enqueue(Job("good", functions.one, job_id="good"))
    queue.enqueue(Job("bad", functions.fail, max_retries=1, retry_delay=0, job_id="bad"))
    JobScheduler(engine=engine).process(queue)


def settle(engine: OrchestrationEngine) -> None:
    """Wait until every subscription of this engine has heard of all that is on record."""
    heard, position = threading.Event(), engine.as_of().position
    engine.listen("*", lambda event: heard.set() if event.position >= position else None, after=position - 1)
    assert heard.wait(PATIENCE_S)


# -- logging ------------------------------------------------------------------------------------------------


def test_events_are_logged_with_their_ids_and_failures_as_warnings(
    engine: OrchestrationEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "logistics.events")
    log_events(engine, "job.*")
    work(engine)
    settle(engine)
    records: list[Any] = [record for record in caplog.records if record.name == "logistics.events"]
    by_tag = {record.tag: record for record in records}
    assert by_tag["job.completed"].entity == "job:good"
    assert by_tag["job.completed"].cause.startswith("attempt:good/")
    assert by_tag["job.completed"].levelno == logging.INFO
    assert by_tag["job.failed"].levelno == logging.WARNING
    assert by_tag["job.failed"].getMessage() == "job.failed job:bad: ValueError: it does not work"
    assert [record.position for record in records] == sorted(record.position for record in records)
    with pytest.raises(InputError):
        log_events(engine, "")


# -- Prometheus ---------------------------------------------------------------------------------------------


def samples(text: str) -> dict[str, float]:
    """Read the text format as strictly as it is specified: each family once, described, then its samples."""
    found: dict[str, float] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            assert line.split()[3] in {"counter", "gauge"}
            assert (line.split()[3] == "counter") == family.endswith("_total")
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match["name"] == family
            key = family + (f"{{{match['labels']}}}" if match["labels"] else "")
            assert key not in found
            found[key] = float(match["value"])
    return found


def test_the_text_for_prometheus_counts_what_happened(engine: OrchestrationEngine) -> None:
    metrics = PrometheusMetrics(engine)
    work(engine)
    CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
    WorkflowManager(engine).create("w").add_step("a", functions.one)
    WorkflowManager(engine).run("w")
    settle(engine)
    found = samples(metrics.text())
    name = r"q\"\\"
    assert found["logistics_healthy"] == 1
    assert found[f'logistics_jobs{{queue="{name}",status="completed"}}'] == 1
    assert found[f'logistics_jobs{{queue="{name}",status="failed"}}'] == 1
    assert found[f'logistics_retries_total{{queue="{name}"}}'] == 1
    assert found['logistics_runs{status="completed"}'] == 1
    assert found['logistics_events_total{tag="job.failed"}'] == 1
    assert found['logistics_schedule_firings_total{schedule="nightly"}'] == 0
    assert found["logistics_log_position"] == engine.as_of().position
    metrics.close()
    work_before = found['logistics_events_total{tag="job.enqueued"}']
    Queue("later", engine=engine).enqueue(Job("one", functions.one))
    settle(engine)
    assert samples(metrics.text())['logistics_events_total{tag="job.enqueued"}'] == work_before


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_server_answers_metrics_and_health_and_stops_with_the_engine(tmp_path: Path) -> None:
    engine = OrchestrationEngine(tmp_path / "store")
    server = MonitoringServer(engine, port=0)
    status, text = get(server.port, "/metrics")
    assert status == 200
    assert samples(text)["logistics_healthy"] == 1
    status, text = get(server.port, "/health")
    assert (status, json.loads(text)["healthy"]) == (200, True)
    assert get(server.port, "/")[0] == 404
    with pytest.raises(InputError, match="cannot be listened on"):
        MonitoringServer(engine, port=server.port)
    with pytest.raises(InputError, match="port"):
        MonitoringServer(engine, port=70_000)
    engine.close()
    with pytest.raises(urllib.error.URLError):
        get(server.port, "/health")


def test_an_engine_that_takes_no_commands_is_not_healthy(tmp_path: Path) -> None:
    with (
        OrchestrationEngine(tmp_path / "store") as watched,
        OrchestrationEngine(tmp_path / "store") as engine,
    ):
        with MonitoringServer(engine, port=0) as server:
            engine._closed = True
            try:
                status, text = get(server.port, "/health")
            finally:
                engine._closed = False
        assert (status, json.loads(text)["problem"]) == (503, "closed")
        assert watched.health_check()["healthy"]


# -- OpenTelemetry ------------------------------------------------------------------------------------------


def test_runs_and_attempts_are_spans_one_below_the_other_with_the_times_of_the_events(
    engine: OrchestrationEngine,
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    OpenTelemetryTracing(engine, tracer=provider.get_tracer("test"))
    WorkflowManager(engine).create("w").add_step("a", functions.one).add_step("b", functions.fail)
    result = WorkflowManager(engine).run("w")
    work(engine)
    settle(engine)
    spans = exporter.get_finished_spans()
    by_name = {span.name: span for span in spans}
    run, good = by_name["run w"], by_name["job good"]
    children = [span for span in spans if span.parent is not None]
    assert {span.attributes["logistics.job_id"] for span in children if span.attributes} == {
        f"{result.run_id}.0",
        f"{result.run_id}.1",
    }
    assert all(span.parent.span_id == run.context.span_id for span in children if span.parent and run.context)
    assert run.attributes is not None
    assert run.attributes["logistics.run_id"] == result.run_id
    assert run.attributes["logistics.outcome"] == "run.failed"
    assert not run.status.is_ok
    assert good.status.is_ok
    assert good.parent is None
    attempts = [span for span in spans if span.name == "job bad"]
    assert [span.attributes["logistics.attempt"] for span in attempts if span.attributes] == [1, 2]
    assert attempts[1].status.description == "ValueError: it does not work"
    started = next(event for _, event in engine.history("job:good") if type(event).__name__ == "JobStarted")
    assert good.start_time == started.at_us * 1_000  # type: ignore[attr-defined]
    assert (good.start_time or 0) <= (good.end_time or 0)


def test_without_opentelemetry_the_extra_is_named(
    engine: OrchestrationEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "trace", None)
    with pytest.raises(InputError, match=r"pip install 'logistics\[otel\]'"):
        OpenTelemetryTracing(engine)
