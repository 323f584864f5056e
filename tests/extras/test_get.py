"""Everything comes back from its version byte by byte, and nothing else is touched."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from baked_projects import TEMPLATE, Bakery, Project, copy_project
from versions_project import VERSIONS, Versions, expected, explore, make_dirty, read, state
from waiting import wait_for

from lineage.core import paths
from lineage.core.errors import BadInput, Refused
from lineage.extras.retrieve import get as retrieval
from lineage.tracked.cache import object_path
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import send, with_files

sys.path.insert(0, str(TEMPLATE / "tools"))
from s3_server import s3_server

pytestmark = pytest.mark.slow


def get(project: Project, version: str, artifact: str, output: Path, strategy: str = "cache") -> Path:
    return retrieval.get(project.path, version, artifact, output, strategy, force=False)


def clone_of(project: Project, folder: Path) -> Project:
    """Clone on another machine: an empty cache of its own, the same remote."""
    (folder / "home").mkdir(parents=True)
    clone = Project(folder / "clone", {**project.environment, "HOME": str(folder / "home")})
    project.git("clone", "--quiet", f"file://{project.path}", str(clone.path))
    clone.dvc("cache", "dir", "--local", str(folder / "cache"))
    return clone


# --- Exact bytes -----------------------------------------------------------------------------------------------------


def test_every_artifact_of_every_version_comes_from_the_cache_and_a_dirty_tree_stays(
    versions: Versions, tmp_path: Path
) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    before = make_dirty(project)
    checked = 0
    for version in VERSIONS:
        files = [*recorded_outputs(project.path, version), "params.yaml", "experiment.py", "results/metrics.json"]
        inside = next(name for name in versions.seen[version] if name.startswith("models/trained/"))
        artifacts = [*files, inside, "models/production/model.json", "models", "data"]
        for number, artifact in enumerate(artifacts):
            found = read(get(project, version, artifact, tmp_path / f"{version}-{number}"))
            assert found == expected(versions, version, artifact), f"{artifact} at {version}"
            checked += len(found)
    assert checked > 12 * 20
    assert state(project) == before


@pytest.mark.parametrize("strategy", ["cache", "auto"])
def test_every_output_of_every_version_comes_from_the_remote_in_a_clean_clone(
    versions: Versions, tmp_path: Path, strategy: str
) -> None:
    clone = clone_of(versions.project, versions.project.path.parent / f"clone-{strategy}")  # the remote lies at ../../
    clone.dvc(
        "remote", "modify", "--local", "storage", "url", f"{versions.project.path.parent}/digit-experiments-remote"
    )
    for version in VERSIONS if strategy == "cache" else VERSIONS[:1]:
        for artifact in recorded_outputs(clone.path, version):
            found = read(get(clone, version, artifact, tmp_path / version / artifact, strategy))
            assert found == expected(versions, version, artifact), f"{artifact} at {version}"
    assert clone.git("status", "--porcelain") == ""
    assert not (clone.path / "data/train.parquet").exists()


def test_every_output_of_every_version_comes_from_s3_in_a_clean_clone(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    with s3_server(
        tmp_path / "s3", "lab", "AKIA" + "LINEAGETESTS2345", "lineage/Tests+" + "0123456789abcdef"
    ) as server:
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        project.environment.update(server.credentials)
        project.dvc("remote", "modify", "storage", "url", "s3://lab/digits")
        project.dvc("remote", "modify", "storage", "endpointurl", server.endpoint)
        project.dvc("remote", "modify", "storage", "region", "eu-central-1")
        project.commit("use S3")
        from lineage.tracked.remote import open_remote

        remote = open_remote(project.path)
        assert remote is not None
        for version in VERSIONS:
            send(project.path, remote, with_files(project.path, recorded_outputs(project.path, version).values()))
        clone = clone_of(project, tmp_path / "clone")
        for version in VERSIONS:
            for artifact in recorded_outputs(clone.path, version):
                found = read(get(clone, version, artifact, tmp_path / version / artifact))
                assert found == expected(versions, version, artifact), f"{artifact} at {version}"


@pytest.mark.parametrize("strategy", ["dvc-get", "worktree"])
def test_other_strategies_bring_the_same_bytes_and_leave_a_dirty_tree_alone(
    versions: Versions, tmp_path: Path, strategy: str
) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    before = make_dirty(project)
    artifacts = ("data/train.parquet", "models/production", "models/trained", "experiment.py", "results/metrics.json")
    for number, artifact in enumerate(artifacts):
        found = read(get(project, "e0.1.0", artifact, tmp_path / str(number), strategy))
        assert found == expected(versions, "e0.1.0", artifact), artifact
    assert state(project) == before
    assert len(project.git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("strategy", ["cache", "dvc-get", "worktree"])
def test_force_replaces_a_link_to_the_cache_and_never_writes_through_it(
    versions: Versions, tmp_path: Path, strategy: str
) -> None:
    """`dvc get --force` empties the object behind such a link, where the user is root, and ends with 0."""
    project = copy_project(versions.project, tmp_path / "copy")
    project.dvc("config", "--local", "cache.type", "hardlink")
    md5 = recorded_outputs(project.path, "e0.1.0")["data/train.parquet"]
    cached = object_path(project.path, md5)
    whole, links = cached.read_bytes(), cached.stat().st_nlink
    (output := tmp_path / "train.parquet").hardlink_to(cached)
    assert retrieval.get(project.path, "e0.1.0", "data/train.parquet", output, strategy, force=True) == output
    assert (output.read_bytes(), cached.read_bytes()) == (whole, whole)
    assert cached.stat().st_nlink == links, "the old link is gone, and there is no new one"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "ended by a scheduler"])
def test_an_interrupted_get_leaves_no_worktree_behind(versions: Versions, tmp_path: Path, how: signal.Signals) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    words = ["get", "--version", "e0.1.0", "--artifact", "data/train.parquet", "--strategy", "worktree"]
    getting = subprocess.Popen(
        [sys.executable, "scripts/experiment_explorer.py", *words, "--output", str(tmp_path / "train.parquet")],
        cwd=project.path,
        env=project.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(lambda: list(project.path.glob(".git/worktrees/*/gitdir")), pause=0.01)
    getting.send_signal(how)
    _, errors = getting.communicate(timeout=60)
    assert (getting.returncode, errors.splitlines()[-1:]) == (
        130,
        ["interrupted: nothing that was accumulated before has changed"],
    )
    assert len(project.git("worktree", "list").splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_auto_goes_on_to_dvc_where_an_output_has_a_remote_of_its_own(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    (project.path / "weights.bin").write_bytes(b"weights")
    project.dvc("remote", "add", "second", str(tmp_path / "second"))
    project.dvc("add", "weights.bin")
    with (project.path / "weights.bin.dvc").open("a", encoding="utf-8") as file:
        file.write("  remote: second\n")
    project.dvc("push", "weights.bin")
    project.commit("weights")
    project.git("tag", "-a", "-m", "x", "e5.0.0")
    object_path(project.path, recorded_outputs(project.path, "e5.0.0")["weights.bin"]).unlink()
    with pytest.raises(Refused, match="is not in the cache and not in the remote"):
        get(project, "e5.0.0", "weights.bin", tmp_path / "out", "cache")
    assert read(get(project, "e5.0.0", "weights.bin", tmp_path / "out", "auto")) == {".": b"weights"}


def test_auto_says_what_each_strategy_said_and_leaves_nothing(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    md5 = recorded_outputs(project.path, "e0.1.0")["data/train.parquet"]
    for place in (
        object_path(project.path, md5),
        tmp_path / "copy/digit-experiments-remote/files/md5" / md5[:2] / md5[2:],
    ):
        place.unlink()
    with pytest.raises(Refused, match="is not in the cache and not in the remote") as refused:
        get(project, "e0.1.0", "data/train.parquet", tmp_path / "out", "auto")
    assert "dvc get: " in refused.value.problem and "worktree: " in refused.value.problem
    assert not (tmp_path / "out").exists() and list(tmp_path.glob(".get.*")) == []
    assert len(project.git("worktree", "list").splitlines()) == 1


# --- What can go wrong -----------------------------------------------------------------------------------------------


def test_a_damaged_object_is_fetched_anew_or_refused(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    md5 = recorded_outputs(project.path, "e0.2.0")["data/train.parquet"]
    place = object_path(project.path, md5)
    whole = place.read_bytes()

    def damage() -> None:
        place.chmod(0o644)
        place.write_bytes(whole[:-1] + b"x")

    damage()
    assert read(get(project, "e0.2.0", "data/train.parquet", tmp_path / "one")) == {".": whole}
    damage()
    (tmp_path / "copy/digit-experiments-remote/files/md5" / md5[:2] / md5[2:]).unlink()
    said = explore(
        project,
        "get",
        "--version",
        "e0.2.0",
        "--artifact",
        "data/train.parquet",
        "--output",
        str(tmp_path / "two"),
        code=1,
    )
    assert f"object {md5} is damaged in the cache and not in the remote" in said
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("artifact", ["data/train.parquet", "models/production"])
@pytest.mark.parametrize("present", ["file", "folder", "link"])
def test_force_replaces_files_folders_and_links(
    versions: Versions, tmp_path: Path, artifact: str, present: str
) -> None:
    project, name = copy_project(versions.project, tmp_path / "copy"), Path(artifact).name
    (output := tmp_path / "into" / name).parent.mkdir()
    if present == "folder":
        (output / "mine").mkdir(parents=True)
    elif present == "link":
        output.symlink_to(tmp_path / "nowhere")
    else:
        output.write_text("old")
    into = output.parent if present == "folder" else output
    assert retrieval.get(project.path, "e0.1.0", artifact, into, "cache", force=True) == output
    assert read(output) == expected(versions, "e0.1.0", artifact)
    assert [path.name for path in output.parent.iterdir()] == [name]


def test_nothing_is_overwritten_without_force(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    words = ("get", "--version", "e0.1.0", "--artifact", "models/production")
    first = explore(project, *words)
    path = project.path / "build/e0.1.0/models/production"
    assert first == f"wrote {path}\n" and project.git("status", "--porcelain") == ""
    (path / "mine.txt").write_text("mine", encoding="utf-8")
    assert explore(project, *words, code=1).startswith(f"error: {path} exists; it is not overwritten\n")
    assert (path / "mine.txt").read_text() == "mine"
    explore(project, *words, "--force")
    assert read(path) == expected(versions, "e0.1.0", "models/production")
    into = tmp_path / "folder"
    into.mkdir()
    explore(project, "get", "--version", "e0.1.0", "--artifact", "models/production/model.bin", "--output", str(into))
    assert read(into) == {"model.bin": versions.seen["e0.1.0"]["models/production/model.bin"]}
    target = tmp_path / "elsewhere.bin"
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(Refused, match="exists; it is not overwritten"):
        get(project, "e0.1.0", "models/production/model.bin", tmp_path / "link")
    for output in (project.path / ".git/config", project.path.parent.with_name(project.path.name) / ".." / "copy"):
        with pytest.raises(BadInput, match="would replace the project"):
            retrieval.get(project.path, "e0.1.0", "data/train.parquet", output / "new" / "..", "auto", force=True)


@pytest.mark.parametrize(
    "artifact",
    [
        "",
        ".",
        "..",
        "../secret",
        "/etc/passwd",
        "data/../../x",
        "--output=x",
        "-x",
        ":/README.md",
        ".git/config",
        "a\nb",
        "data/\0",
    ],
)
def test_a_path_that_leads_out_of_the_project_is_refused(versions: Versions, artifact: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a path inside the project"):
        get(versions.project, "e0.1.0", artifact, tmp_path / "out")


def test_a_missing_artifact_lists_near_matches(versions: Versions, tmp_path: Path) -> None:
    out = ("--output", str(tmp_path / "out"))
    said = explore(versions.project, "get", "--version", "e0.1.0", "--artifact", "models/produktion", *out, code=1)
    assert said.startswith("error: models/produktion is not in e0.1.0; near matches: models/production")
    shown = versions.project.run("sh", "-c", said.partition("→ ")[2]).stdout
    assert re.search(r"^ artifacts +models/production ", shown, re.MULTILINE), shown
    said = explore(versions.project, "get", "--version", "e0.1.0", "--artifact", "model.bin", *out, code=1)
    assert "near matches: models/production/model.bin" in said
    said = explore(versions.project, "get", "--version", "e0.1.0", "--artifact", 'data/\'; rm -rf "x"', *out, code=1)
    assert "is not in e0.1.0" in said
    said = explore(versions.project, "get", "--version", "e0.1.7", "--artifact", "data", *out, code=1)
    assert said.startswith("error: there is no tag e0.1.7; the nearest: e0.1.")
    said = explore(versions.project, "get", "--version", "e0.1.0; ls", "--artifact", "data", *out, code=2)
    assert said.startswith("error: 'e0.1.0; ls' is not a version")
    assert not (tmp_path / "out").exists()


def test_links_and_tags_without_a_lock(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    (project.path / "passwords").symlink_to("/etc/passwd")
    (project.path / "tool.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (project.path / "tool.sh").chmod(0o755)
    project.git("rm", "--quiet", "dvc.lock")
    project.commit("a link, no lock")
    project.git("tag", "-a", "-m", "x", "e5.0.0")
    with pytest.raises(Refused, match=r"passwords is a link or a submodule at e5\.0\.0, not a file") as refused:
        get(project, "e5.0.0", "passwords", tmp_path / "out", "auto")
    assert project.run("sh", "-c", str(refused.value.remedy)).stdout == "/etc/passwd"
    with pytest.raises(
        Refused, match=r"data/train.parquet is not in e5\.0\.0 \(which has no dvc\.lock, so no results\)"
    ) as refused:
        get(project, "e5.0.0", "data/train.parquet", tmp_path / "out", "auto")
    assert "\ntool.sh\n" in project.run("sh", "-c", str(refused.value.remedy)).stdout
    assert read(get(project, "e5.0.0", "data/test.parquet", tmp_path / "test")) == expected(
        versions, "e0.1.0", "data/test.parquet"
    )
    assert get(project, "e5.0.0", "tool.sh", tmp_path / "tool.sh").stat().st_mode & 0o777 == 0o755


def test_from_a_subfolder_a_linked_worktree_and_a_shallow_clone(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path / "copy")
    words = ("get", "--version", "e0.1.0", "--artifact", "data/train.parquet", "--output")
    explore(project, *words, "here.parquet", cwd=project.path / "docs")
    assert read(project.path / "docs/here.parquet") == expected(versions, "e0.1.0", "data/train.parquet")
    shutil.rmtree(tmp_path / "copy/digit-experiments-remote")
    linked = Project(tmp_path / "linked", project.environment)
    project.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(linked.path), "e0.3.0")
    explore(linked, *words, str(tmp_path / "linked.parquet"))
    assert read(tmp_path / "linked.parquet") == expected(versions, "e0.1.0", "data/train.parquet")
    assert not (linked.path / paths.TRAIN_DATA).exists()
    shallow = Project(tmp_path / "shallow", project.environment)
    project.git("clone", "--quiet", "--depth", "1", f"file://{project.path}", str(shallow.path))
    said = explore(shallow, *words, str(tmp_path / "shallow.parquet"), code=1)
    assert said == "error: there is no tag e0.1.0; the nearest: e1.10.1\n  → git fetch --unshallow --tags\n"
    shallow.run("bash", "-ec", said.partition("→ ")[2])
    shutil.copyfile(project.path / ".dvc/config.local", shallow.path / ".dvc/config.local")
    explore(shallow, *words, str(tmp_path / "shallow.parquet"))


def test_a_project_in_a_folder_of_a_larger_repository(bake: Bakery, tmp_path: Path) -> None:
    baked = bake()
    shutil.rmtree(baked.path / ".git")
    project = Project(tmp_path / "large/exp", baked.environment)
    project.path.parent.mkdir()
    baked.path.rename(project.path)
    project.run("git", "init", "--quiet", cwd=project.path.parent)
    project.commit("start")
    project.git("tag", "-a", "-m", "x", "e0.1.0")
    whole = read(project.path / "data/test.parquet")
    strategies = ("cache", "dvc-get", "worktree")
    for strategy in strategies:
        assert read(get(project, "e0.1.0", "data/test.parquet", tmp_path / strategy, strategy)) == whole
        code = get(project, "e0.1.0", "experiment.py", tmp_path / f"{strategy}.py", strategy)
        assert read(code) == read(project.path / "experiment.py")
    assert explore(project, "checkout", "--version", "e0.1.0") == f"ready: {tmp_path}/explore-e0.1.0/exp\n"
    assert read(tmp_path / "explore-e0.1.0/exp/data/incoming") == read(project.path / "data/incoming")
    assert explore(project, "cleanup") == f"removed {tmp_path}/explore-e0.1.0\n"
    assert project.git("status", "--porcelain") == ""
