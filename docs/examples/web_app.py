"""A web application with the engine inside: requests hand work over and ask what became of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from logistics import BusyError, ConflictingIdError, Job, JobScheduler, OrchestrationEngine, Queue


def send_receipt(order: int, to: str) -> str:
    """Stand for real work."""
    return f"receipt of order {order} sent to {to}"


class Shop:
    """The WSGI application: `POST /orders/N` hands an order's receipt over, `GET /jobs/ID` asks for it."""

    def __init__(self, engine: OrchestrationEngine) -> None:
        self.mail = Queue("mail", engine=engine)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request; on any of the server's threads."""
        status, answer = self.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/"))
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def answer(self, method: str, path: list[str]) -> tuple[str, dict[str, Any]]:
        """Return the status line and what is said."""
        match method, path:
            case "POST", ["orders", number] if number.isdecimal():
                return self.take(int(number))
            case "GET", ["jobs", job_id] if job := self.mail.get_job(job_id):
                return "200 OK", {"status": job.status, "result": job.result, "error": job.error}
        return "404 Not Found", {}

    def take(self, order: int) -> tuple[str, dict[str, Any]]:
        """Have a receipt sent. The id is the order's: a request that is sent twice is one job."""
        job = Job("receipt", send_receipt, args=[order, "ada@example.org"], job_id=f"receipt-{order}")
        try:
            return "202 Accepted", {"job": self.mail.enqueue(job)}  # on disk, synced
        except BusyError as error:  # certainly not taken
            return "503 Service Unavailable", {"error": str(error)}
        except ConflictingIdError as error:  # another job has this id
            return "409 Conflict", {"error": str(error)}


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ask(port: int, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Be a customer."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def main() -> None:
    """Serve on a free port, order something, look at it, and leave."""
    with OrchestrationEngine(workers=8) as engine:  # leaving ends what runs here, whatever went wrong
        shop = Shop(engine)
        JobScheduler(engine=engine).start(shop.mail)
        with make_server("127.0.0.1", 0, shop, server_class=Server, handler_class=Quiet) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()

            print(ask(server.server_port, "POST", "/orders/7"))
            print(ask(server.server_port, "POST", "/orders/7"), "again: the same job")
            shop.mail.result("receipt-7", timeout=30)
            print(ask(server.server_port, "GET", "/jobs/receipt-7"))
            print(ask(server.server_port, "GET", "/jobs/nothing"))
            server.shutdown()


if __name__ == "__main__":
    main()
