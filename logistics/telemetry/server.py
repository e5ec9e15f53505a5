"""A small web server for whoever watches: `/metrics` for Prometheus, `/health` for a health check."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.errors import InputError
from logistics.inputs import check_int
from logistics.telemetry.prometheus import CONTENT_TYPE, PrometheusMetrics

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from logistics.orchestration.engine import OrchestrationEngine

logger = logging.getLogger("logistics.telemetry")


class MonitoringServer:
    """Serves `/metrics` and `/health` (200, or 503 if the engine takes no commands) until it is stopped.

    It stops with the engine. For inside a trusted network: it knows no passwords, and tells names of queues,
    functions and schedules. A context manager.
    """

    def __init__(self, engine: OrchestrationEngine, *, host: str = "127.0.0.1", port: int = 9464) -> None:
        """Listen; port 0 chooses a free one. `InputError` if that is not possible."""
        check_int("port", port, least=0, most=65_535)
        self._metrics = PrometheusMetrics(engine)
        handler = type("Handler", (_Handler,), {"engine": engine, "metrics": self._metrics})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            self._metrics.close()
            msg = f"{host}:{port} cannot be listened on: {error.strerror or error}"
            raise InputError(msg) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="logistics-monitoring", daemon=True
        )
        self._thread.start()
        self._engine = engine
        engine.started.add(self)

    def __repr__(self) -> str:
        return f"MonitoringServer('http://{self._server.server_address[0]!s}:{self.port}')"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Listen no more; a second call does nothing."""
        self._engine.started.discard(self)
        self._metrics.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


class _Handler(BaseHTTPRequestHandler):
    engine: OrchestrationEngine
    metrics: PrometheusMetrics

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.metrics.text().encode())
        elif self.path == "/health":
            health = self.engine.health_check()
            status = 200 if health["healthy"] else 503
            self._answer(status, "application/json", msgspec.json.encode(health))
        else:
            self._answer(404, "text/plain", b"/metrics or /health\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name that the server has
        logger.debug(format, *args)
