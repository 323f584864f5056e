"""A version is suggested with its reasons, tagged only when everything is recorded, and pushed so that it comes back."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from baked_projects import Project, copy_project

from lineage.core import version_numbers as version_names
from lineage.core.errors import BadInput
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import missing_in_remote, open_remote, with_files
from lineage.tracked.version_tags import tags

TAG = "python scripts/version_tag.py"


def tag(project: Project, *arguments: str, code: int = 0) -> str:
    """Run version_tag.py; return what it said, or its error."""
    done = project.run("python", "scripts/version_tag.py", *arguments, code=code)
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def all_tags(project: Project) -> list[str]:
    return project.git("tag", "--list").splitlines()


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


def test_versions_are_sorted_by_number_and_other_tags_are_none(bake: object, baked: Project, tmp_path: Path) -> None:
    project = copy_project(baked, tmp_path)
    for name in ("e0.10.0", "e0.9.0", "e1.0.0", "e0.9.10", "e0.9.9", "e01.0.0", "e1.0", "exp", "v1.0.0", "e0.1.0-rc"):
        project.git("tag", "-a", "-m", "x", name)
    project.git("tag", "e0.0.1")
    project.git("branch", "e1.0.0")
    assert list(tags(project.path)) == [
        "e0.0.1", "e0.9.0", "e0.9.9", "e0.9.10", "e0.10.0", "e1.0.0",
    ]  # fmt: skip
    assert {known.commit for known in tags(project.path).values()} == {project.git("rev-parse", "HEAD")}
    assert [version_names.following("e0.9.10", part) for part in ("major", "minor", "patch")] == [
        "e1.0.0",
        "e0.10.0",
        "e0.9.11",
    ]


HOSTILE = [
    "",
    "0.1.0",
    "e0.1",
    "e00.1.0",
    "e0.1.0\n",
    "e0.1.0 ",
    "e٠.1.0",
    "-e0.1.0",
    "e0.1.0;ls",
    "../e0.1.0",
    "e0.1.0'--",
    "HEAD",
    "e0.1.0^",
]


@pytest.mark.parametrize("version", HOSTILE)
def test_anything_else_is_no_version(version: str) -> None:
    with pytest.raises(BadInput, match=r"is not a version; allowed: e\{major\}\.\{minor\}\.\{patch\}, as in e0\.1\.0"):
        version_names.parse(version)


@pytest.mark.slow
def test_a_version_is_tagged_with_its_description(trained: Project) -> None:
    said = tag(trained, "--version", "e0.1.0", "--description", "the  first\none")
    text = trained.git("for-each-ref", "--format=%(objecttype) %(contents)", "refs/tags/e0.1.0")
    md5 = recorded_outputs(trained.path)["data/train.parquet"]
    assert text.startswith("tag model=logistic_regression | C=1.0 | max_iter=1000 | f1_score=0.9229 | ")
    assert text.endswith(f" | data={md5[:6]} | the first one")
    assert said == f"tagged e0.1.0: {text.removeprefix('tag ')}\n"
    assert trained.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_each_refusal_names_its_command_and_makes_no_tag(trained: Project) -> None:
    def refused(*arguments: str) -> list[str]:
        head, error = trained.git("rev-parse", "HEAD"), tag(trained, *arguments, code=1)
        assert trained.git("rev-parse", "HEAD") == head
        return error.splitlines()

    assert refused("--version", "e0.2.0") == [
        "error: the results are of e0.1.0, which is free, and not of e0.2.0",
        f"  → {TAG} --version e0.1.0   # or set experiment.version: e0.2.0 in params.yaml, then: dvc repro",
    ]
    note = trained.path / "note.py"
    note.write_text("# new\n", encoding="utf-8")
    assert refused("--version", "e0.1.0")[0] == "error: the tree is not clean: note.py"
    assert refused("--version", "e0.1.0", "--commit", "x") == [
        "error: new files are not tracked: note.py",
        "  → git add them, or name them in .gitignore",
    ]
    note.unlink()
    with (trained.path / "README.md").open("a", encoding="utf-8") as file:
        file.write("more\n")
    assert refused("--next", "minor") == [
        "error: the tree is not clean: README.md",
        f'  → {TAG} … --commit "message"   # new files: git add them',
    ]
    trained.git("checkout", "--", "README.md")
    trained.set_param("model.C", 0.5)
    assert refused("--version", "e0.1.0", "--commit", "x") == [
        "error: dvc status is not clean: train",
        "  → dvc repro   # in a fresh clone first: dvc pull",
    ]
    trained.git("checkout", "--", "params.yaml")
    database = trained.path / "results/experiments.db"
    kept = database.read_bytes()
    database.unlink()
    assert "dvc status is not clean: merge_results, promote_model" in refused("--version", "e0.1.0")[0]
    database.write_bytes(kept)
    assert all_tags(trained) == []
    tag(trained, "--version", "e0.1.0")
    [problem, remedy] = refused("--version", "e0.1.0")
    assert problem.startswith("error: e0.1.0 is tagged (by Ada Lovelace, 20")
    assert problem.endswith(f", commit {trained.git('rev-parse', '--short=7', 'HEAD')})")
    assert remedy == f"  → {TAG} --suggest"
    assert "  → " in trained.run("bash", "-ec", remedy.removeprefix("  → ")).stdout, "it names the next one"
    assert "give one of --suggest, --start, --version, --next, --renumber, --list" in tag(trained, code=2)
    assert "is not a version" in tag(trained, "--version", "--output=x", code=2)


@pytest.mark.slow
def test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results(tagged: Project) -> None:
    remedy = "set experiment.version: e0.2.0 in params.yaml, then: dvc repro"
    assert tag(tagged, "--version", "e0.2.0", code=1).endswith(f"  → {remedy}\n")
    tagged.set_param("experiment.version", "e0.2.0")
    problem, remedy = tag(tagged, "--version", "e0.2.0", code=1).splitlines()
    assert problem == "error: dvc status is not clean: train"
    assert remedy == "  → dvc repro   # in a fresh clone first: dvc pull"
    tagged.run("bash", "-ec", remedy.removeprefix("  → "))
    problem, remedy = tag(tagged, "--next", "patch", "--commit", "x", code=1).splitlines()
    assert problem == "error: the results are of e0.2.0, which is free, and not of e0.1.1"
    assert remedy == f"  → {TAG} --version e0.2.0   # or set experiment.version: e0.1.1 in params.yaml, then: dvc repro"
    assert "dvc.lock" in tagged.git("status", "--porcelain"), "a refusal commits nothing"
    command = remedy.removeprefix("  → ").partition("   #")[0]
    problem, remedy = tagged.run("bash", "-ec", command, code=1).stderr.splitlines()
    assert problem == "error: the tree is not clean: dvc.lock, params.yaml"
    assert remedy == f'  → {TAG} … --commit "message"   # new files: git add them'
    command = remedy.removeprefix("  → ").replace(TAG, "").replace("…", command)
    (tagged.path / "note.py").write_text("# new\n", encoding="utf-8")
    problem, remedy = tagged.run("bash", "-ec", command, code=1).stderr.splitlines()
    assert problem == "error: new files are not tracked: note.py"
    assert remedy == "  → git add them, or name them in .gitignore"
    tagged.git("add", "note.py")
    assert tagged.run("bash", "-ec", command).stdout.startswith("tagged e0.2.0: ")
    assert tagged.git("log", "-1", "--format=%s") == "message"
    said = tag(tagged, "--next", "patch")
    assert said.startswith("tagged e0.2.1: ") and said.endswith(
        "its rows say e0.2.0, as do those of that tag: they are the same runs\n"
    )
    assert tagged.git("for-each-ref", "--format=%(contents:body)", "refs/tags/e0.2.1") == "The rows say e0.2.0."


@pytest.mark.slow
def test_ten_who_ask_for_the_next_version_at_once_get_ten_different_ones(tagged: Project, tmp_path: Path) -> None:
    """Five in the project and five in a linked worktree, where no lock of ours is shared."""
    linked = Project(tmp_path / "linked", tagged.environment)
    tagged.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", str(linked.path), "-b", "side")
    shutil.copyfile(tagged.path / ".dvc/config.local", linked.path / ".dvc/config.local")
    linked.dvc("checkout", "--quiet")
    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(lambda n: tag((tagged, linked)[n % 2], "--next", "patch"), range(10)))
    names = [line.split(":")[0].removeprefix("tagged ") for line in said]
    assert sorted(names, key=version_names.parse) == [f"e0.1.{n}" for n in range(1, 11)]
    assert set(all_tags(tagged)) == {"e0.1.0", *names}


# --- Suggest ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_first_version_is_the_one_of_params(trained: Project) -> None:
    said = trained.script("experiment_explorer", "verify", "--all", code=1)
    assert said.startswith("error: there is no version yet\n")
    lines = trained.run("sh", "-c", said.partition("→ ")[2]).stdout.splitlines()
    assert lines[:3] == ["e0.1.0", "  there is no version yet", f"  → {TAG} --version e0.1.0"]
    assert lines[3].startswith("model=logistic_regression | C=1.0 | max_iter=1000 | f1_score=0.9229 | data=")


@pytest.mark.slow
def test_a_suggestion_says_what_changed_and_which_number_that_raises(tagged: Project) -> None:
    def suggested() -> list[str]:
        return tag(tagged, "--suggest", "--description", "text").splitlines()

    lines = suggested()
    assert lines[:3] == [
        "e0.1.1   patch since e0.1.0",
        "  experiment.py, data, model and sweep are the same: a rerun or a fix",
        f"  → {TAG} --next patch",
    ]
    assert lines[3].startswith("model=logistic_regression | f1_score=0.9229 | data=") and lines[3].endswith(" | text")

    tagged.set_param("model.C", 0.3)
    tagged.drop_batch(2)
    assert suggested() == [
        "e0.2.0   minor since e0.1.0",
        "  data/incoming has changed since dvc repro",
        "  model.C: 1.0 → 0.3",
        "  it has not run yet",
        f"  → {TAG} --start && dvc repro",
    ]
    tag(tagged, "--start")
    tagged.repro()
    lines = suggested()
    assert lines[:4] == [
        "e0.2.0   minor since e0.1.0",
        "  data/train.parquet grew (rows: 987, rows added: 450, rows removed: 0, rows changed: 0)",
        "  model.C: 1.0 → 0.3",
        f"  → {TAG} --version e0.2.0",
    ]
    assert lines[4].startswith("model=logistic_regression | C=0.3 | f1_score=0.9291")

    with (tagged.path / "experiment.py").open("a", encoding="utf-8") as file:
        file.write("\n# another architecture\n")
    lines = suggested()
    assert lines[:2] == ["e1.0.0   major since e0.1.0", "  experiment.py changed"]
    assert lines[-2:] == ["  it has not run yet", f"  → {TAG} --start && dvc repro"]
    tagged.git("checkout", "--", "experiment.py")

    (tagged.path / "data/test.parquet").unlink()
    shutil.copyfile(tagged.path / "examples/batches/batch_003.parquet", tagged.path / "data/test.parquet")
    lines = suggested()
    assert lines[:2] == ["e1.0.0   major since e0.1.0", "  data/test.parquet has changed since dvc repro"]
    tagged.repro()
    lines = suggested()
    assert lines[0] == "e1.0.0   major since e0.1.0"
    assert lines[1].startswith("  data/test.parquet replaced (rows: 450, rows added: 450, rows removed: 360")
    assert f"  → {TAG} --renumber" in lines, "these runs say e0.2.0, which is too low for them"

    tagged.set_param("experiment.version", "e1.0.0")
    assert suggested()[-2:] == ["  it has not run yet", "  → dvc repro"]


# --- Push ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_push_sends_what_the_tag_names_then_commit_and_tag_and_a_colleague_gets_it(
    tagged: Project, tmp_path: Path
) -> None:
    said = tag(tagged, "--version", "e0.1.0", "--push", code=1)
    problem, *remedies = said.splitlines()
    assert problem == "error: no Git remote to push to: commits and tag e0.1.0 are only in this folder"
    again = f"{TAG} --version e0.1.0 --push"
    assert remedies[0] == f"  → git remote add origin URL && {again}"
    bundle = remedies[1].removeprefix("  → ").partition("   #")[0]
    tagged.run("sh", "-c", bundle)
    assert "refs/tags/e0.1.0" in tagged.git("bundle", "list-heads", f"../{tagged.path.name}.bundle")
    first = with_files(tagged.path, recorded_outputs(tagged.path, "e0.1.0").values())
    remote = open_remote(tagged.path)
    assert missing_in_remote(tagged.path, remote, first) == set(), "its objects are sent all the same"
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
    tagged.git("remote", "add", "origin", str(origin))
    tagged.set_param("experiment.version", "e0.2.0")
    tagged.repro()
    said = tag(tagged, "--version", "e0.2.0", "--commit", "results", "--push")
    hashes = with_files(tagged.path, recorded_outputs(tagged.path, "e0.2.0").values())
    assert f"{len(hashes)} objects of e0.2.0 are in the remote, {len(hashes - first)} of them new\n" in said
    assert said.endswith("pushed refs/tags/e0.2.0, HEAD:refs/heads/main to origin\n")
    assert missing_in_remote(tagged.path, remote, hashes) == set()
    sent = (tagged.path.parent / "digit-experiments-remote/files/md5").glob("??/*")
    assert {path.parent.name + path.name for path in sent} == first | hashes, "exactly the objects of the tags"

    (tmp_path / "home2").mkdir()
    clone = Project(tagged.path.parent / "clone", {**tagged.environment, "HOME": str(tmp_path / "home2")})
    tagged.run("git", "clone", "--quiet", str(origin), str(clone.path), cwd=tmp_path)
    assert all_tags(clone) == ["e0.2.0"]
    got = clone.script("experiment_explorer", "get", "--version", "e0.2.0", "--artifact", "models/production/model.bin")
    assert (tagged.path / "models/production/model.bin").read_bytes() == Path(
        got.removeprefix("wrote ").strip()
    ).read_bytes()
    assert tag(tagged, "--version", "e0.2.0", "--push").startswith(
        f"{len(hashes)} objects of e0.2.0 are in the remote, 0 of"
    )
