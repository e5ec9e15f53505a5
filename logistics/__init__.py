"""Durable orchestration: workflows, a job queue and schedules, in one folder on disk."""

from __future__ import annotations

from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue

__all__ = ["Job", "JobScheduler", "OrchestrationEngine", "Queue"]
