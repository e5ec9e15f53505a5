"""The peer APScheduler with its store on SQLite, which commits each job by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

from tests.benchmarks.apscheduler_stores import add_and_fire
from tests.benchmarks.model import Case


def on_sqlite(count: int, folder: Path) -> Mapping[str, float]:
    return add_and_fire(SQLAlchemyJobStore(url=f"sqlite:///{folder / 'jobs.db'}"), count)


CASES: Mapping[str, Case] = MappingProxyType({"W5": on_sqlite})
