"""Projects: a folder each, a status, and the runs recorded under them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from actors.queue.messages import GetStats
from actors.runtime.errors import InputError, UnknownIdError
from actors.workflow.messages import CreateProject, GetProjects, UpdateProject
from logistics.inputs import as_datetime, check_int, check_name, check_path, check_text
from logistics.orchestration.folders import check_free, folder_of, mark_folder
from logistics.orchestration.given import OnEngine, refuse_engine
from logistics.orchestration.running import check_project
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.listing import JobFilter, jobs_on_record
from logistics.task.reading import MOST_JOBS
from logistics.task.record import read_job
from logistics.whereabouts import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from actors.workflow.messages import ProjectView
    from logistics.orchestration.engine import OrchestrationEngine
    from logistics.orchestration.run import WorkflowRun
    from logistics.task.job import Job

FOLDER = "projects"


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it was when it was read."""

    name: str
    type: str
    description: str
    folder: Path
    status: str
    created_at: datetime
    runs: int
    """Runs recorded under it."""


class ProjectManager(OnEngine):
    """Keeps projects: each on record in the store, with a folder of its own below one root."""

    def __init__(
        self, root: str | os.PathLike[str] | None = None, *, engine: OrchestrationEngine | None = None
    ) -> None:
        """Keep folders below `root`; None: `projects/` in the store. An engine in memory needs a root."""
        super().__init__(engine=engine)
        refuse_engine("root", root, "ProjectManager(engine=…)")
        self._root = None if root is None else check_path("root", root, of="folder")

    @property
    def root(self) -> Path:
        """The folder that all projects are in, with no symbolic link in its path."""
        if self._root is not None:
            return Path(self._root).expanduser().resolve()
        path = self.engine.path
        if path == MEMORY:
            msg = "root: a store in memory has no folder for projects; say where they are to be"
            raise InputError(msg)
        return Path(path).resolve() / FOLDER

    def create_project(self, name: str, type: str = "custom", description: str = "") -> Project:  # noqa: A002 -- the contract's word
        """Make a project and its folder; one that is on record is returned as it is.

        `InputError` for a name that is no single path component, for a folder that leads out of the root, and
        for one that is there already and is not this project's: nothing in it is touched.
        """
        folder = folder_of(self.root, name)
        check_name("type", type)
        check_text("description", description)
        known = self.get_project(name)
        if known is None or known.folder == folder:
            check_free(folder, name, ours=known is not None)
        create = CreateProject(name, type, description, str(folder))
        view: ProjectView = self.engine.ask("supervisor", create)
        if view.folder == str(folder):
            mark_folder(folder, name)  # once on record, so that a folder left half made is known to be ours
        return read_project(view)

    def get_project(self, name: str) -> Project | None:
        """Return a project; None if there is none of this name."""
        return next((project for project in self.list_projects() if project.name == name), None)

    def list_projects(self) -> list[Project]:
        """Return all projects, in the order in which they were made."""
        views: tuple[ProjectView, ...] = self.engine.ask("supervisor", GetProjects())
        return [read_project(view) for view in views]

    def list_runs(self, name: str, limit: int | None = None) -> Iterator[WorkflowRun]:
        """Return an iterator of the runs on record under a project, newest first; see `WorkflowManager.list_runs`.

        Runs are put there by `WorkflowManager(project=name)`. `UnknownIdError` for an unknown project.
        """
        project = check_project(self.engine, name)
        return WorkflowManager(self.engine).list_runs(limit, project=project)

    def list_jobs(self, name: str, limit: int | None = None) -> Iterator[Job]:
        """Return an iterator of the jobs on record under a project, of all queues, newest first.

        Jobs are put there by `Queue(project=name)` and `TaskOrchestrator(project=name)`; those of its runs are with
        their runs. `UnknownIdError` for an unknown project.
        """
        if limit is not None:
            check_int("limit", limit, least=0, most=MOST_JOBS)
        engine = self.engine
        wanted = JobFilter(project=check_project(engine, name))
        engine.query("queue", GetStats(queue=""))  # waits until what the queue knows is durable
        found = (read_job(events, engine.functions) for events in jobs_on_record(engine, None, wanted))
        return islice(found, limit)

    def update_project_status(self, name: str, status: str) -> None:
        """Give a project a status, one of your own words. `UnknownIdError` for an unknown project."""
        if not self.engine.ask("supervisor", UpdateProject(name, check_name("status", status))):
            raise _unknown(name)


def _unknown(name: str) -> UnknownIdError:
    return UnknownIdError(f"no project {name!r} on record")


def read_project(view: ProjectView) -> Project:
    """Return what the supervisor says of a project as users see it."""
    return Project(
        view.name,
        view.kind,
        view.description,
        Path(view.folder),
        view.status,
        as_datetime(view.created_us),
        view.runs,
    )
