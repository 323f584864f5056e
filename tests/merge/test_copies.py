"""A copy of our own database that somebody edited: what it began as is known by the record that it carries."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from inbox_project import edit, merged_results

DATABASE = "results/experiments.db"
EDITED = "UPDATE metrics SET f1_score = 0.5, track_id = 're-' || track_id WHERE version = 'e0.2.0'"


def runs(database: Path) -> list[tuple[str, str, float]]:
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT version, track_id, f1_score FROM metrics ORDER BY version, track_id"
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def two_versions_original(trained_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions, each committed, and an edited copy of the results of both in the inbox."""
    project = copy_project(trained_original, tmp_path_factory.mktemp("two"))
    project.set_param("experiment.version", "e0.2.0")
    project.set_param("model.C", 0.1)
    project.repro()
    project.commit("second version")
    project.set_param("merge.strategy", "rebase")
    copy = project.path / "results/incoming/copy.db"
    shutil.copyfile(project.path / DATABASE, copy)
    edit(copy, EDITED)
    return project


@pytest.fixture
def two_versions(two_versions_original: Project, tmp_path: Path) -> Project:
    return copy_project(two_versions_original, tmp_path)


def expected(project: Project) -> list[tuple[str, str, float]]:
    [first, (version, run, _)] = runs(project.path / DATABASE)
    return [first, (version, f"re-{run}", 0.5)]


def test_an_edited_row_takes_the_place_of_its_version_and_the_rest_stays(
    two_versions: Project,
) -> None:
    wanted = expected(two_versions)
    said = two_versions.repro()
    assert "rebase metrics: +1 ~1 =0 !0\n" in said
    assert "results/experiments.db: 1 new file, 1 already merged\n" in said
    assert runs(two_versions.path / DATABASE) == wanted
    names = [name for _, name, _, _ in merged_results(two_versions.path / DATABASE)]
    assert len(names) == 3 and names[-1] == "results/incoming/copy.db"
    two_versions.run("touch", "results/incoming/README.md")
    two_versions.repro("--force", "--single-item", "merge_results")
    assert runs(two_versions.path / DATABASE) == wanted, "the run of train that was replaced does not come again"


@pytest.mark.parametrize("output", [DATABASE, "build/other.db", "../elsewhere.db"])
def test_the_same_command_gives_the_same_rows_whatever_the_output_is_called(two_versions: Project, output: str) -> None:
    wanted = expected(two_versions)
    (two_versions.path / "build").mkdir(exist_ok=True)
    words = f"--strategy rebase --key-columns version --base-db {DATABASE} --exp-db results/incoming/copy.db --yes"
    two_versions.script("merge_artifacts", *words.split(), "--output-db", output)
    assert runs(two_versions.path / output) == wanted


def test_a_copy_never_takes_a_newer_run_of_main_back(two_versions: Project) -> None:
    """Since the copy was made main has done one more run, of a version that the copy has a run of, too."""
    two_versions.set_param("merge.strategy", "merge")
    copy = two_versions.path / "results/incoming/copy.db"
    aside = two_versions.path.parent / "copy.db"
    shutil.move(copy, aside)
    edit(
        aside,
        "INSERT INTO metrics (track_id, timestamp, version, f1_score) VALUES ('theirs', 'now', 'e0.3.0', 0.1)",
    )
    two_versions.set_param("experiment.version", "e0.3.0")
    two_versions.repro()
    two_versions.commit("third version")
    [first, (version, run, _), third] = runs(two_versions.path / DATABASE)
    shutil.move(aside, copy)
    two_versions.set_param("merge.strategy", "rebase")
    two_versions.repro("merge_results")
    found = runs(two_versions.path / DATABASE)
    assert found == sorted([first, (version, f"re-{run}", 0.5), third, ("e0.3.0", "theirs", 0.1)])


def test_a_run_of_our_own_is_no_copy_although_the_results_have_its_row(two_versions: Project) -> None:
    """As when `train` was done again by hand under an id that was merged: the extra for copies is not asked for."""
    root = two_versions.path
    (root / "results/incoming/copy.db").unlink()
    shutil.rmtree(root / "scripts/lineage/extras/copies")
    [run] = (root / "results/runs").glob("*.db")
    edit(run, "UPDATE metrics SET f1_score = 0.5")
    two_versions.script("merge_results")
    assert ("e0.2.0", run.stem, 0.5) in runs(root / DATABASE)
