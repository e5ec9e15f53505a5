"""Projects: folders of their own below one root, and nobody else's touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.errors import InputError, UnknownIdError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.folders import MARKER, NEW_MARKER, folder_of
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.running import begin_run
from logistics.orchestration.workflow_manager import WorkflowManager
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.steps import Signals


@pytest.fixture
def projects(engine: OrchestrationEngine, tmp_path: Path) -> ProjectManager:
    return ProjectManager(tmp_path / "root", engine=engine)


def contents(folder: Path) -> dict[str, str | None]:
    """Everything below a folder, with its text."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_project_has_a_folder_that_says_whose_it_is(projects: ProjectManager) -> None:
    project = projects.create_project("models", "research", "what we train")
    assert (project.name, project.type, project.description) == ("models", "research", "what we train")
    assert (project.status, project.runs) == ("active", 0)
    assert project.folder == projects.root / "models"
    assert json.loads((project.folder / MARKER).read_text(encoding="utf-8")) == {"project": "models"}
    assert projects.get_project("models") == project
    assert projects.get_project("other") is None
    assert projects.create_project("other").type == "custom"
    assert [each.name for each in projects.list_projects()] == ["models", "other"]


def test_runs_are_recorded_under_a_project(projects: ProjectManager, engine: OrchestrationEngine) -> None:
    projects.create_project("models")
    inside, outside = WorkflowManager(engine, project="models"), WorkflowManager(engine)
    inside.create("w").add_step("one", steps.one)
    runs = [inside.start("w").run_id for _ in range(3)]
    other = outside.run("w").run_id
    found = list(projects.list_runs("models"))
    assert [run.run_id for run in found] == runs[::-1]
    assert {run.project for run in found} == {"models"}
    assert [run.run_id for run in projects.list_runs("models", limit=1)] == runs[-1:]
    assert [run.project for run in outside.list_runs() if run.run_id == other] == [None]
    project = projects.get_project("models")
    assert project is not None
    assert project.runs == len(runs)
    with pytest.raises(UnknownIdError, match="no project 'none' on record"):
        projects.list_runs("none")
    with pytest.raises(UnknownIdError, match="no project 'none' on record"):
        WorkflowManager(engine, project="none").run("w")


def test_a_run_is_adopted_only_in_its_session_and_under_its_project(tmp_path: Path, signals: Signals) -> None:
    store = tmp_path / "store"

    def waiting_for(engine: OrchestrationEngine) -> WorkflowManager:
        projects = ProjectManager(tmp_path / "root", engine=engine)
        projects.create_project("models")
        engine.create_session(session_id="mine")
        manager = WorkflowManager(engine, session_id="mine", project="models")
        manager.create("w").add_wait("approval")
        return manager

    with OrchestrationEngine(store) as engine:
        manager = waiting_for(engine)
        begun = begin_run(engine, "w", {}, blocking=True, session_id="mine", project="models")
    with OrchestrationEngine(store) as engine:
        manager = waiting_for(engine)
        for place in ({}, {"session_id": "mine"}, {"project": "models"}):
            other = begin_run(engine, "w", {}, blocking=True, **place)
            assert (other.adopted, other.cancel()) == (False, True)
        found = manager.get_run(begun.run_id)
        assert found is not None
        found.signal("approval", 7)
        result = manager.run("w")
        assert (result.run_id, result.adopted, result.output) == (begun.run_id, True, 7)
        assert (found.session_id, found.project) == ("mine", "models")


def test_a_known_project_is_returned_as_it_is(projects: ProjectManager) -> None:
    first = projects.create_project("models", "research")
    (first.folder / "notes").write_text("kept", encoding="utf-8")
    assert projects.create_project("models", "other type", "other words") == first
    assert (first.folder / "notes").read_text(encoding="utf-8") == "kept"


def test_projects_are_in_the_store_s_folder_unless_said_and_known_over_restarts(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        project = ProjectManager(engine=engine).create_project("models")
        assert project.folder == (tmp_path / "store" / "projects" / "models").resolve()
        ProjectManager(engine=engine).update_project_status("models", "done")
    with OrchestrationEngine(tmp_path / "store") as engine:
        projects = ProjectManager(engine=engine)
        again = projects.create_project("models")
        assert (again.status, again.created_at) == ("done", project.created_at)


def test_a_store_in_memory_needs_a_root(engine: OrchestrationEngine) -> None:
    with pytest.raises(InputError, match=r"^root: a store in memory has no folder for projects"):
        ProjectManager(engine=engine).create_project("models")


def test_a_status_is_a_word_of_one_s_own(projects: ProjectManager) -> None:
    projects.create_project("models")
    projects.update_project_status("models", "on hold")
    project = projects.get_project("models")
    assert project is not None
    assert project.status == "on hold"
    with pytest.raises(UnknownIdError, match="no project 'other' on record"):
        projects.update_project_status("other", "done")
    with pytest.raises(InputError, match=r"^status: expected"):
        projects.update_project_status("models", "")


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "-", "_", "9", "x" * 200, "...x"[3:]])
def test_a_name_is_one_path_component(projects: ProjectManager, name: str) -> None:
    assert projects.create_project(name).folder.parent == projects.root


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/etc",
        "../up",
        "a\\b",
        "a b",
        "a\nb",
        "a\x00",
        "ä",
        "~",
        "x" * 201,
        None,
        7,
    ],
)
def test_other_names_are_refused_and_nothing_is_made(projects: ProjectManager, name: Any) -> None:
    with pytest.raises(InputError, match=r"^name: expected one path component of 1 to 200 of A-Z a-z 0-9"):
        projects.create_project(name)
    assert not projects.root.exists()
    assert projects.list_projects() == []


@given(st.text(max_size=210))
def test_whatever_the_name_the_folder_is_right_below_the_root(name: str) -> None:
    root = Path("/nowhere/at/all")
    try:
        folder = folder_of(root, name)
    except InputError:
        return
    assert folder.parent == root
    assert folder.name == name


def test_type_and_description_are_checked(projects: ProjectManager) -> None:
    with pytest.raises(InputError, match=r"^type: expected"):
        projects.create_project("models", "")
    with pytest.raises(InputError, match=r"^description: expected a text"):
        projects.create_project("models", description=7)  # type: ignore[arg-type]
    assert not projects.root.exists()


# -- what is there already ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["empty", "full", "file", "another's", "bad marker", "marker is a link"])
def test_what_is_there_already_and_is_not_ours_is_never_touched(projects: ProjectManager, what: str) -> None:
    place = projects.root / "models"
    projects.root.mkdir()
    if what == "file":
        place.write_text("precious", encoding="utf-8")
    else:
        place.mkdir()
    if what == "full":
        (place / "data").write_text("precious", encoding="utf-8")
    elif what == "another's":
        (place / MARKER).write_text('{"project": "other"}', encoding="utf-8")
    elif what == "bad marker":
        (place / MARKER).write_text("no json", encoding="utf-8")
    elif what == "marker is a link":
        (projects.root / "elsewhere").write_text('{"project": "models"}', encoding="utf-8")
        (place / MARKER).symlink_to(projects.root / "elsewhere")
    before = contents(projects.root)
    with pytest.raises(InputError, match="is there already and is not this project's; nothing in it was"):
        projects.create_project("models")
    assert contents(projects.root) == before
    assert projects.list_projects() == []


def test_a_folder_whose_project_is_known_elsewhere_is_not_touched(
    engine: OrchestrationEngine, tmp_path: Path
) -> None:
    first = ProjectManager(tmp_path / "one", engine=engine).create_project("models")
    (tmp_path / "two" / "models").mkdir(parents=True)
    assert ProjectManager(tmp_path / "two", engine=engine).create_project("models") == first
    assert contents(tmp_path / "two") == {"models": None}


@pytest.mark.parametrize("left", ["nothing", "empty folder", "half a marker", "a link for a marker"])
def test_a_making_that_was_cut_off_is_finished(projects: ProjectManager, tmp_path: Path, left: str) -> None:
    project = projects.create_project("models")
    (project.folder / MARKER).unlink()
    outside = tmp_path / "outside"
    outside.write_text("precious", encoding="utf-8")
    if left == "nothing":
        project.folder.rmdir()
    elif left == "half a marker":
        (project.folder / NEW_MARKER).write_text('{"proj', encoding="utf-8")
    elif left == "a link for a marker":
        (project.folder / NEW_MARKER).symlink_to(outside)
    assert projects.create_project("models") == project
    assert contents(projects.root) == {"models": None, f"models/{MARKER}": '{"project": "models"}\n'}
    assert outside.read_text(encoding="utf-8") == "precious"


def test_links_are_refused_wherever_they_lead(projects: ProjectManager, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    projects.create_project("inside")
    for name, target in (("out", outside), ("in", projects.root / "inside"), ("gone", tmp_path / "gone")):
        (projects.root / name).symlink_to(target)
        with pytest.raises(
            InputError, match=f"^project '{name}': .* is a symbolic link to .*, which is refused"
        ):
            projects.create_project(name)
    assert contents(outside) == {}
    assert not (tmp_path / "gone").exists()


def test_the_root_itself_may_be_a_link(engine: OrchestrationEngine, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    project = ProjectManager(tmp_path / "link", engine=engine).create_project("models")
    assert project.folder == (tmp_path / "real" / "models").resolve()
