"""Telling others how the engine does: logging, Prometheus, OpenTelemetry. Each is fed by a subscription."""
