"""`make doctor`: each thing that can be wrong has a line, and the line has the command that helps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from baked_projects import Project

from lineage.extras.doctor import examine as doctor
from lineage.setup.project import MERGE_DRIVER
from lineage.tracked import recorded as records
from lineage.tracked.cache import cache_folder


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture
def healthy(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained, tagged and pushed project; this process sees its HOME."""
    trained.git("config", "merge.dvc.driver", MERGE_DRIVER)
    trained.git("tag", "--annotate", "e0.1.0", "--message", "first")
    trained.dvc("push")
    monkeypatch.setenv("HOME", trained.environment["HOME"])
    cache_folder.cache_clear()
    return trained


def lines(project: Project) -> dict[str, str]:
    cache_folder.cache_clear()
    return {step.name: step.line() for step in doctor.examine(project.path)}


def object_of(project: Project, folder: str, path: str) -> Path:
    md5 = records.recorded_outputs(project.path)[path]
    return project.path.parent / folder / "files/md5" / md5[:2] / md5[2:]


CACHE, REMOTE = "cache", "digit-experiments-remote"


def type_what_helps(project: Project, name: str) -> str:
    """Type the remedy of a line, after which the line is well; return what that printed."""
    remedy = lines(project)[name].partition("→ ")[2]
    printed = project.run("sh", "-c", remedy).stdout
    assert lines(project)[name].startswith("✓")
    return printed


def test_a_healthy_project_has_no_cross_and_nothing_is_left_behind(healthy: Project) -> None:
    before = sorted(path for path in healthy.path.parent.rglob("*") if ".dvc/tmp" not in str(path) and path.is_file())
    said = healthy.run("make", "doctor").stdout
    assert "✗" not in said and said.count("✓") == 14
    assert "✓ models  1 candidates can be loaded" in said
    assert "✓ outputs " in said and "objects are in the cache, each with its hash" in said
    assert f"✓ remote  {healthy.path.parent / REMOTE} (a folder), can be written" in said
    assert "✓ tags    1 whole" in said
    after = sorted(path for path in healthy.path.parent.rglob("*") if ".dvc/tmp" not in str(path) and path.is_file())
    assert after == before


def test_a_missing_object_is_fetched_and_a_damaged_one_is_found(healthy: Project) -> None:
    place = object_of(healthy, CACHE, "data/train.parquet")
    place.unlink()
    assert lines(healthy)["outputs"] == (
        "✗ outputs not in the cache: data/train.parquet\n    → dvc fetch   # or here, if made here: dvc commit --force"
    )
    assert healthy.script("doctor", code=1).count("✗") == 1
    type_what_helps(healthy, "outputs")
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    assert lines(healthy)["outputs"] == (
        f"✗ outputs 1 objects missing or damaged, as {place}\n    → rm -f {place} && dvc fetch"
    )
    type_what_helps(healthy, "outputs")


def test_links_that_lead_nowhere(healthy: Project) -> None:
    train = healthy.path / "data/train.parquet"
    train.unlink()
    train.symlink_to(healthy.path.parent / "cache of another machine")
    object_of(healthy, CACHE, "data/train.parquet").unlink()
    assert lines(healthy)["outputs"] == (
        "✗ outputs links that lead nowhere: data/train.parquet\n    → dvc fetch && dvc checkout"
    )
    type_what_helps(healthy, "outputs")
    assert train.is_file()


def test_link_types_are_tried(healthy: Project) -> None:
    healthy.dvc("config", "--local", "cache.type", "hardlink,symlink")
    healthy.dvc("checkout", "--relink")
    train = healthy.path / "data/train.parquet"
    if os.geteuid():
        assert lines(healthy)["links"] == "✓ links   hardlink works between cache and workspace"
    else:  # which no mode of a file keeps from writing through a link
        problem = "you are root, and could write into the cache through a link"
        assert train.stat().st_nlink == 2 and f"✗ cache   {problem}\n" in healthy.script("setup_project", code=1)
        found = lines(healthy)["links"]
        assert found.startswith(f"✗ links   {problem}\n")
        healthy.run("sh", "-c", found.partition("→ ")[2])
        assert train.stat().st_nlink == 1 and "✗" not in lines(healthy)["links"]
    healthy.dvc("config", "--local", "cache.type", "copy")
    assert lines(healthy)["links"].startswith("– links   files are copied: every one lies on the disk twice\n")


def test_a_cache_of_a_group_that_is_closed_to_the_group(healthy: Project) -> None:
    healthy.dvc("config", "--local", "cache.shared", "group")
    found = lines(healthy)["cache"]
    assert "folders are closed to the group, as " in found
    command = found.split("→ ")[1]
    healthy.run("sh", "-c", command)
    assert lines(healthy)["cache"].startswith("✓ cache")
    cache = healthy.path.parent / CACHE
    shutil.rmtree(cache / "files")
    code = "from pathlib import Path; from lineage.tracked.cache import store_object as store;"
    code += " store(Path.cwd(), Path('params.yaml'), 'ff' + 30 * '0')"
    typed = f'umask 077 && PYTHONPATH=scripts python -c "{code}" && dvc commit --force data/incoming.dvc'
    healthy.run("sh", "-c", typed)
    folders = {path: path.stat().st_mode & 0o7777 for path in cache.glob("files/md5/*")}
    assert len(folders) > 2 and set(folders.values()) == {0o2775}, "those that DVC made, and ours"
    assert (cache / "files/md5/ff" / (30 * "0")).stat().st_mode & 0o777 == 0o444


def test_tags_that_were_never_pushed_or_whose_objects_are_gone(healthy: Project) -> None:
    sent = object_of(healthy, REMOTE, "results/experiments.db")
    sent.unlink()
    assert lines(healthy)["tags"] == "✗ tags    e0.1.0 are not in the remote\n    → python scripts/doctor.py --send"
    said = type_what_helps(healthy, "tags")
    assert (
        said.startswith("sent 1 objects of version tags to the remote\n")
        and "✓ tags    1 whole" in said
        and sent.is_file()
    )
    sent.unlink()
    kept = object_of(healthy, CACHE, "results/experiments.db")
    elsewhere = kept.rename(healthy.path.parent / "cache of the machine that made it")
    assert lines(healthy)["tags"] == (
        "✗ tags    e0.1.0 have lost objects: neither cache nor remote has them\n"
        "    → python scripts/doctor.py --send   # on the machine that made them"
    )
    remedy = lines(healthy)["tags"].partition("→ ")[2]
    elsewhere.rename(kept)  # there
    assert "sent 1 objects of version tags" in healthy.run("sh", "-c", remedy).stdout
    kept.unlink()  # and here
    assert lines(healthy)["tags"] == "✓ tags    1 whole"


def test_a_worktree_with_a_cache_of_its_own(healthy: Project) -> None:
    """What plain `git worktree add` makes: no local configuration, so another cache."""
    tree = healthy.path.parent / "tree"
    healthy.git("worktree", "add", "--quiet", str(tree), "--detach")
    found = lines(healthy)["trees"]
    assert found.startswith(f"✗ trees   {tree} uses another cache: {tree}/.dvc/cache\n    → ")
    healthy.run("sh", "-c", found.partition("→ ")[2])
    assert (tree / "data/train.parquet").read_bytes() == (healthy.path / "data/train.parquet").read_bytes()
    assert lines(healthy)["trees"] == "✓ trees   2 with one cache"


@pytest.mark.slow
def test_remotes(healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # else DVC tries the closed port for 15 s
    healthy.dvc("remote", "modify", "--local", "storage", "url", "/proc/nothing/here")
    assert lines(healthy)["remote"].startswith(
        "✗ remote  /proc/nothing/here: No such file or directory\n    → dvc remote"
    )
    healthy.dvc("remote", "modify", "--local", "storage", "url", "/proc")
    assert lines(healthy)["remote"].startswith("✗ remote  /proc (a folder), but cannot be written: ")
    healthy.dvc("remote", "modify", "--local", "storage", "url", "s3://bucket/place")
    healthy.dvc("remote", "modify", "--local", "storage", "endpointurl", "http://127.0.0.1:9")
    healthy.dvc("remote", "modify", "--local", "storage", "access_key_id", "a")
    healthy.dvc("remote", "modify", "--local", "storage", "secret_access_key", "b")
    found = lines(healthy)
    assert found["remote"].startswith("✗ remote  http://127.0.0.1:9 cannot be reached\n    → make setup")
    assert found["tags"].startswith("✗ tags    the remote does not answer: ")
    healthy.dvc("config", "--unset", "core.remote")
    found = lines(healthy)
    assert found["remote"].startswith("– remote  none configured: nothing leaves this machine\n")
    assert found["tags"] == "✓ tags    1 whole, in the cache only"


def test_a_secret_in_the_committed_configuration_and_no_merge_driver(healthy: Project) -> None:
    with (healthy.path / ".dvc/config").open("a", encoding="utf-8") as file:
        file.write("    secret_access_key = abc\n")
    healthy.git("config", "--unset", "merge.dvc.driver")
    found = lines(healthy)
    assert "extra keys not allowed" in found["links"], "DVC cannot even read it; the other lines are still there"
    assert found["secrets"].startswith(
        "✗ secrets .dvc/config is committed and holds a secret: remote.storage.secret_access_key\n    → dvc config --local "
    )
    assert found["merge"] == "✗ merge   git merge cannot merge dvc.lock\n    → make setup"


def test_tools_that_are_too_old(healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.MINIMUM, "dulwich", "99.1")
    found = lines(healthy)["dulwich"]
    assert found.endswith(" is too old; 99.1 or later is needed\n    → make setup   # or update git")
