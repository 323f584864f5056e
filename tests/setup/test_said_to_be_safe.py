"""Nothing is said to be safe that is not: history without a remote, objects of a cache, hidden files, models that do not load."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Bakery, Project
from clones_project import clone

from lineage.extras.doctor.kept_elsewhere import check_history
from lineage.tracked.ignored import check_tracked
from lineage.tracked.recorded import recorded_md5


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def remedy_of(said: str, step: str) -> str:
    """What stands after the arrow of a step's line, or of a warning."""
    return said.partition(step)[2].partition("→ ")[2].splitlines()[0]


def test_history_without_a_git_remote_is_in_this_folder_only(fresh: Project) -> None:
    fresh.git("tag", "--annotate", "e0.1.0", "--message", "first")
    assert (
        check_history(fresh.path.parent).text == check_tracked(fresh.path.parent).text == "there is no Git repository"
    )
    step = check_history(fresh.path)
    assert step.mark == "–"
    assert step.text == "no Git remote: 1 commits and 1 tags are in this folder only"
    remedy = step.remedy or ""
    push, _, bundle = remedy.partition("   # or, into one file: ")
    fresh.run("sh", "-c", bundle)
    assert "refs/tags/e0.1.0" in fresh.git("bundle", "list-heads", "../history.bundle")

    bare = fresh.path.parent / "bare.git"
    fresh.git("init", "--quiet", "--bare", str(bare))
    fresh.run("sh", "-c", push.replace("URL", str(bare)))
    assert check_history(fresh.path).line() == "✓ history all commits and tags are in origin"


def test_commits_and_tags_that_the_remote_lacks_are_counted(fresh: Project) -> None:
    bare = fresh.path.parent / "bare.git"
    fresh.git("init", "--quiet", "--bare", str(bare))
    fresh.git("remote", "add", "lab", str(bare))
    fresh.git("push", "--quiet", "lab", "main")
    fresh.git("branch", "behind")
    for number in (1, 2):
        (fresh.path / "note.md").write_text(str(number))
        fresh.commit(f"note {number}")
    fresh.git("push", "--quiet", "lab", "main")
    assert check_history(fresh.path).mark == "✓", "a branch that is behind lacks nothing"
    fresh.git("tag", "e0.1.0")
    fresh.git("tag", "--annotate", "e0.2.0", "--message", "second")
    fresh.git("switch", "--quiet", "--create", "aside")
    (fresh.path / "note.md").write_text("3")
    fresh.commit("note 3")
    step = check_history(fresh.path)
    assert step.text == "1 commits and 1 tags are in this folder only", "the light tag names a commit that is there"
    fresh.run("sh", "-c", step.remedy or "")
    assert check_history(fresh.path).mark == "✓"

    moved = bare.rename(bare.with_suffix(".moved"))
    step = check_history(fresh.path)
    assert step.line() == "– history Git remote lab does not answer\n    → git ls-remote lab"
    assert (
        "bare.git' does not appear to be a git repository" in fresh.run("sh", "-c", step.remedy or "", code=128).stderr
    )
    moved.rename(bare)
    assert (
        "refs/heads/main" in fresh.run("sh", "-c", step.remedy or "").stdout and check_history(fresh.path).mark == "✓"
    )


@pytest.mark.slow
def test_doctor_and_verify_say_that_the_history_is_in_this_folder_only(trained: Project) -> None:
    trained.git("tag", "e0.1.0")
    trained.dvc("push")
    said = trained.script("doctor", code=1)  # no hooks
    assert "– history no Git remote: 2 commits and 1 tags are in this folder only\n    → git remote add" in said
    done = trained.run("python", "scripts/experiment_explorer.py", "verify", "--all", "--format", "json")
    assert done.stderr.startswith(
        "warning: no Git remote: 2 commits and 1 tags are in this folder only\n  → git remote add"
    )


DATA = ("data/incoming/batch_001.parquet", "data/test.parquet")


@pytest.mark.slow
def test_what_the_machine_ignores_is_tracked_all_the_same(bake: Bakery) -> None:
    """Many people ignore data/ and *.lock everywhere; a bake would then commit half a project."""
    home = Path(bake.environment["HOME"])
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("data/\n*.lock\nmodels/\nruns/\n*.yaml\n*.json\n.idea/\n")
    project = bake()
    assert (
        "✓ tracked no ignore rule hides" in project.log and "✓ data    put into the cache: data/incoming" in project.log
    )
    tracked = project.git("ls-files").splitlines()
    names = ["data/.gitignore", "data/incoming.dvc", "requirements.lock", "params.yaml", ".dvc/config"]
    assert not {*names, "scripts/lineage/models/gate.py", "scripts/lineage/runs/run.py"}.difference(tracked)
    for name in (".idea/", "notes.json", "data/train.parquet"):
        project.git("check-ignore", name)


def contents(project: Project) -> list[bytes]:
    return [(project.path / name).read_bytes() for name in DATA]


@pytest.mark.slow
def test_what_machine_and_repository_around_a_project_ignore_is_tracked_and_a_clone_has_the_data(
    bake: Bakery, tmp_path: Path
) -> None:
    rules = tmp_path / "ignore"
    rules.write_text("data/\n.vscode/\n")
    around = Project(tmp_path / "mono", bake.environment)
    around.path.mkdir()
    around.git("init", "--quiet")
    around.git("config", "--global", "core.excludesFile", str(rules))
    (around.path / ".gitignore").write_text("data/\nmodels/\n*.lock\n")
    around.commit("ours")
    project = bake(into=around.path)
    assert "– git     inside the repository" in project.log and "✓ tracked no ignore rule hides" in project.log
    around.git("add", project.path.name)
    around.commit("a project")
    tracked = set(project.git("ls-files").splitlines())
    assert {"data/incoming.dvc", "data/test.parquet.dvc", "requirements.lock"} < tracked
    (project.path / "data/train.parquet").touch()
    assert around.git("status", "--porcelain") == "", "what DVC keeps is still ignored"
    project.dvc("push")
    copy = Project(tmp_path / "copy", bake.environment)
    around.git("clone", "--quiet", str(around.path), str(copy.path))
    colleague = Project(copy.path / project.path.name, bake.environment)
    remote = f"{project.path}-remote"
    colleague.run("dvc", "remote", "modify", "--local", "storage", "url", remote)
    colleague.run("dvc", "cache", "dir", "--local", str(tmp_path / "another-cache"))
    colleague.dvc("pull", "data/incoming", "data/test.parquet")
    assert contents(colleague) == contents(project)


@pytest.mark.slow
def test_a_folder_that_a_rule_of_the_machine_hides_from_dvc_is_named_and_the_remedy_works(
    bake: Bakery, tmp_path: Path
) -> None:
    """To Git `data/*` is what is in the folder, which the project lets in again; to dulwich it is the folder, too."""
    bake.environment["HOME"] = str(tmp_path)
    (tmp_path / "ignore").write_text("data/*\n")
    git = Project(tmp_path, bake.environment)
    git.run("git", "config", "--global", "core.excludesFile", str(tmp_path / "ignore"))
    project = bake()
    problem = "✗ tracked DVC passes over data/incoming.dvc, data/test.parquet.dvc, which an ignore rule hides from it\n"
    assert problem in project.log
    assert {"data/incoming.dvc", "data/test.parquet.dvc"} < set(project.git("ls-files").splitlines())
    remedy = remedy_of(project.log, "✗ tracked")
    assert remedy == "git config core.excludesFile /dev/null && make setup"
    project.run("sh", "-c", remedy.replace("make setup", "python scripts/setup_project.py"))
    assert "✓ tracked" in project.script("setup_project")
    project.dvc("push")
    sent = [path for path in Path(f"{project.path}-remote").rglob("*") if path.is_file()]
    assert len(sent) == 5, "the test set, and two folders with a file each"


@pytest.mark.slow
def test_files_that_the_project_itself_ignores_are_named_and_can_be_tracked(bake: Bakery) -> None:
    """A rule of the project's own wins over what the template asks Git to track."""
    project = bake()
    (project.path / "data/.gitignore").write_text("*\n")
    project.git("rm", "--quiet", "--cached", "data/incoming.dvc")
    project.git("commit", "--quiet", "--no-verify", "--message", "as where it was never tracked")
    said = project.script("setup_project", "--first")
    assert "✗ tracked Git ignores files that it must track: data/incoming.dvc\n" in said
    refused = project.script("version_tag", "--version", "e0.1.0", code=1)
    assert refused.startswith("error: Git ignores files that it must track: data/incoming.dvc\n  → git add --force")
    project.run("sh", "-c", remedy_of(said, "✗ tracked"))
    assert "data/incoming.dvc" in project.git("ls-files", "data")
    said = project.script("setup_project", "--first")
    problem = "DVC passes over data/incoming.dvc, data/test.parquet.dvc, which an ignore rule hides from it"
    assert f"✗ tracked {problem}\n    → sed -i 1d data/.gitignore && make setup\n" in said
    project.run("sh", "-c", remedy_of(said, "✗ tracked").replace("make setup", "python scripts/setup_project.py"))
    assert "✓ tracked no ignore rule hides" in project.script("setup_project", "--first")


@pytest.mark.slow
def test_a_dvc_lock_that_is_ignored_is_found_once_it_is_there(trained: Project) -> None:
    for tool in (".venv/lib/a.yaml", ".venv/lib/uv.lock", ".dvc/tmp/rwlock.lock"):  # ignored by the project itself
        (trained.path / tool).parent.mkdir(parents=True, exist_ok=True)
        (trained.path / tool).touch()
    assert check_tracked(trained.path).mark == "✓"
    trained.git("tag", "--annotate", "e0.1.0", "--message", "e0.1.0")
    trained.git("rm", "--quiet", "--cached", "dvc.lock", "results/metrics.json")
    trained.git("commit", "--quiet", "--no-verify", "--message", "as where they were never tracked")
    with (trained.path / ".gitignore").open("a") as rules:
        rules.write("*.lock\n*.json\n")
    said = trained.script("doctor", code=1)
    assert "✗ tracked Git ignores files that it must track: dvc.lock results/metrics.json\n" in said
    proven = trained.script("experiment_explorer", "verify", "--all", code=1)
    assert "warning: Git ignores files that it must track: dvc.lock results/metrics.json\n" in proven
    assert remedy_of(proven, "warning: Git ignores") == remedy_of(said, "✗ tracked")
    trained.run("sh", "-c", remedy_of(said, "✗ tracked"))
    assert "Git ignores" not in trained.script("experiment_explorer", "verify", "--all", code=1)
    assert "✓ tracked" in trained.script("doctor", code=1)


@pytest.mark.slow
def test_a_pull_from_this_machines_cache_says_so_when_the_remote_lacks_it(trained: Project, tmp_path: Path) -> None:
    colleague = clone(trained, tmp_path / "colleague")
    colleague.dvc("cache", "dir", "--local", str(trained.path.parent / "cache"))  # of the same machine
    md5 = recorded_md5(trained.path, "results/experiments.db") or ""
    lost = trained.path.parent / "digit-experiments-remote/files/md5" / md5[:2] / md5[2:]
    lost.unlink()
    said = colleague.run("python", "scripts/setup_project.py").stdout
    assert "– pull    fetched " in said
    assert "; 1 objects came from this machine's cache, and the remote lacks them\n    → dvc push" in said
    colleague.run("sh", "-c", remedy_of(said, "– pull"))
    assert lost.is_file()


@pytest.mark.slow
def test_a_candidate_that_cannot_be_loaded_is_named(trained: Project) -> None:
    trained.script("version_tag", "--version", "e0.1.0")
    trained.dvc("push")
    [model] = (trained.path / "models/candidates").iterdir()
    model.unlink()
    model.write_bytes(b"no model")
    said = trained.script("doctor", code=1)
    name = model.name.removesuffix("_model.bin")
    assert f"✗ models  candidate {name} cannot be loaded: " in said
    assert name in trained.run("sh", "-c", remedy_of(said, "✗ models")).stdout
    said = trained.script("experiment_explorer", "verify", "--all")
    assert f"warning: candidate {name} cannot be loaded: " in said, "the tag is whole, and here it is of no use"
    assert name in trained.run("sh", "-c", remedy_of(said, "cannot be loaded")).stdout


@pytest.mark.slow
def test_hooks_that_git_would_never_run_are_not_said_to_be_there(bake: Bakery, tmp_path: Path) -> None:
    project = bake()
    project.git("config", "--global", "core.hooksPath", str(tmp_path))
    said = project.script("setup_project")
    place = f"{project.environment['HOME']}/.gitconfig"
    assert f"– hooks   Git runs those of {tmp_path} only: core.hooksPath is set (file:{place})\n" in said
    typed, _, setup = remedy_of(said, "– hooks").rpartition(" && ")
    assert setup == "make setup"
    project.run("sh", "-c", typed)
    assert "✓ hooks   pre-commit, pre-push, " in project.script("setup_project")
    assert (project.path / ".git/hooks/pre-push").is_file()


@pytest.mark.slow
def test_a_git_pull_brings_what_only_the_remote_has(trained: Project, tmp_path: Path) -> None:
    colleague = clone(trained, tmp_path / "colleague")
    colleague.script("setup_project")
    trained.drop_batch(2)
    trained.dvc("add", "data/incoming")
    trained.commit("a batch")
    trained.dvc("push")
    colleague.git("pull", "--quiet")
    assert (colleague.path / "data/incoming/batch_002.parquet").is_file()
