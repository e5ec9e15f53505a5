"""Who is measured: our side, the peers and the bare limit, each with what it promises."""

from __future__ import annotations

from tests.benchmarks.model import (
    APSCHEDULER,
    APSCHEDULER_MEMORY,
    CRONITER,
    CRONSIM,
    DBOS,
    EVENTSOURCING,
    HUEY,
    LIMIT,
    OURS,
    Contestant,
)

CONTESTANTS = (
    Contestant(
        key=OURS,
        title="logistics",
        module="tests.benchmarks.ours",
        needs="logistics",
        promise="each call synced before it returns; what was running is run again after a crash",
    ),
    Contestant(
        key=HUEY,
        title="huey on SQLite",
        module="tests.benchmarks.huey_sqlite",
        needs="huey",
        promise="WAL, synced at each commit; a job is deleted before it runs, so a crash loses it",
    ),
    Contestant(
        key=DBOS,
        title="DBOS on SQLite",
        module="tests.benchmarks.dbos_sqlite",
        needs="dbos",
        promise="synced at each commit, its file put into WAL by hand; what was running is recovered",
    ),
    Contestant(
        key=APSCHEDULER,
        title="APScheduler on SQLite",
        module="tests.benchmarks.apscheduler_sqlite",
        needs="apscheduler",
        promise="each schedule a commit; what was running is not known after a crash",
    ),
    Contestant(
        key=APSCHEDULER_MEMORY,
        title="APScheduler",
        module="tests.benchmarks.apscheduler_stores",
        needs="apscheduler",
        promise="schedules in memory: a crash loses them",
    ),
    Contestant(
        key=CRONITER,
        title="croniter",
        module="tests.benchmarks.croniter_alone",
        needs="croniter",
        promise="expressions only",
    ),
    Contestant(
        key=CRONSIM,
        title="cronsim",
        module="tests.benchmarks.cronsim_alone",
        needs="cronsim",
        promise="expressions only",
    ),
    Contestant(
        key=EVENTSOURCING,
        title="eventsourcing on SQLite",
        module="tests.benchmarks.eventsourcing_sqlite",
        needs="eventsourcing",
        promise="WAL, synced at each commit; events and aggregates only, no checksums, no chain",
    ),
    Contestant(
        key=LIMIT,
        title="bare limit",
        module="tests.benchmarks.limit",
        needs="lmdb",
        promise="LMDB with default sync and no features; nothing can be recovered from it",
    ),
)
