"""Git's hooks: no secret gets into a commit, and a branch brings its data and results."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from baked_projects import SOURCE, Project, copy_project, make_bakery
from light_project import lighten, train_light
from s3_project import (
    ACCESS_KEY,
    SECRET_KEY,
    URL,
    VENV,
    all_blobs,
    bring_a_batch,
    hashes,
    setup,
)

from lineage.setup.secrets import SECRET_OPTION, find_secrets

HOOKS = {
    hook["id"]: hook for hook in yaml.safe_load((SOURCE / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
}
OURS = ("dvc-secrets", "aws-key-ids", "aws-secret-keys")


def refused_by(*paths: Path) -> list[str]:
    """Which of our hooks refuse files; each names the files, and says nothing else."""
    names = []
    for name in OURS:
        command = [*shlex.split(HOOKS[name]["entry"]), *HOOKS[name]["args"], *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            assert set(done.stdout.splitlines()) <= set(map(str, paths)), "no value of a secret is printed"
            names.append(name)
    return names


# --- Secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_setup_refuses_to_go_on_with_a_secret_in_the_committed_configuration(bake: Callable[..., Project]) -> None:
    project = bake()
    shutil.rmtree(project.path / ".git")
    project.dvc("config", "core.no_scm", "true")
    project.dvc("remote", "modify", "storage", "url", URL)
    project.dvc("remote", "modify", "storage", "secret_access_key", SECRET_KEY)
    printed = setup(project, code=1)
    assert printed == (
        "✓ git     repository initialised, branch main\n"
        "✗ secrets .dvc/config is committed and holds a secret: remote.storage.secret_access_key\n"
        "    → dvc config --local remote.storage.secret_access_key VALUE   # and take it out of .dvc/config;"
        " was it ever pushed? ask for a new one\n"
    )
    assert project.run("git", "rev-parse", "--verify", "--quiet", "HEAD", code=1).stdout == ""
    remedy = printed.partition("→ ")[2].partition("   #")[0]
    project.run("bash", "-ec", remedy.replace("VALUE", SECRET_KEY))
    project.dvc("config", "--unset", "remote.storage.secret_access_key")
    assert "✓ secrets none in .dvc/config" in setup(project, "--first")
    assert SECRET_KEY.encode() not in all_blobs(project)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("['remote \"storage\"']\n    url = s3://lab/x\n    region = eu\n", []),
        ("['remote \"storage\"']\n    access_key_id = A\n", ["remote.storage.access_key_id"]),
        ("['remote \"storage\"']\nSecret_Access_Key=A\n", ["remote.storage.secret_access_key"]),
        ("['remote \"storage\"']\n    session_token = 'A'\n", ["remote.storage.session_token"]),
        ("[remote \"my box\"]\n\tpassword = A\n", ["remote.my box.password"]),
        ("['remote \"a\"']\n    # password = A\n    ;token = B\n", ["remote.a.password", "remote.a.token"]),
        ("['remote \"a\"']\n    url = https://me:word@host/x\n", ["remote.a.url"]),
        ("['remote \"a\"']\n    url = \"ssh://me@host/x\"\n", []),
        ("[studio]\n    token = A\n", ["studio.token"]),
        ("['remote \"a\"']\n    password =\n    # nothing secret here = see the docs\n", []),
        ("access_key_id = A\n[broken\n", ["access_key_id"]),
        ("", []),
    ],
    ids=[
        "nothing secret", "access key", "capitals", "session token", "space in the name", "commented out",
        "password in the URL", "user in the URL", "studio", "empty", "broken file", "empty file",
    ],
)  # fmt: skip
def test_secrets_are_found_in_a_dvc_configuration(tmp_path: Path, config: str, found: list[str]) -> None:
    path = tmp_path / "config"
    path.write_text(config)
    assert find_secrets(path) == found
    assert ("dvc-secrets" in refused_by(path)) == bool(found), "the commit hook refuses what make setup refuses"


def test_the_commit_hook_knows_every_secret_option_and_make_setup_knows_its_options(tmp_path: Path) -> None:
    path = tmp_path / "config"
    options = SECRET_OPTION.pattern.split("|")
    assert len(options) == 15 and "|".join(options) in " ".join(HOOKS["dvc-secrets"]["args"])
    for option in options:
        path.write_text(f'[remote]\n  # {option.upper()} = "A"\n')
        assert find_secrets(path) == [f"remote.{option}"] and refused_by(path) == ["dvc-secrets"]


@pytest.mark.parametrize(
    ("text", "hooks"),
    [
        ("key = {access}\n", ["aws-key-ids"]),
        ("# {access}", ["aws-key-ids"]),
        ("caf\u00e9\u00a0{access}\u00a0x\n", ["aws-key-ids"]),
        ("ASIA{letters},", ["aws-key-ids"]),
        ("{access}Q\n", []),
        ("x_{access}\n", []),
        ("asiapacificnortheast\n", []),
        ("# secret_access_key: {secret}\n", ["aws-secret-keys"]),
        ("\"Secret_Access_Key\" : '{secret}'\n", ["aws-secret-keys"]),
        ("AWS_SECRET_ACCESS_KEY={secret}", ["aws-secret-keys"]),
        ("secret_access_key = {secret}0\n", []),
        ("secret_access_key = see the docs\n", []),
        ("", []),
    ],
)
def test_the_commit_hooks_know_an_aws_key(tmp_path: Path, text: str, hooks: list[str]) -> None:
    path = tmp_path / "notes of ours.txt"
    path.write_text(text.format(access=ACCESS_KEY, secret=SECRET_KEY, letters="ABCDEFGHIJKLMNOP"), encoding="utf-8")
    path.with_name("-other.txt").touch()
    found = refused_by(path.with_name("-other.txt"), path)
    assert [name for name in found if name != "dvc-secrets"] == hooks
    path.unlink()
    assert refused_by(path) == list(OURS), "what cannot be read is not passed"


def test_a_missing_configuration_holds_no_secret(tmp_path: Path) -> None:
    assert find_secrets(tmp_path / "config") == []


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its Git hooks installed by `make setup`, to copy only."""
    project = make_bakery(tmp_path_factory.mktemp("hooked"))()
    done = project.run("make", "setup", f"VENV={VENV}")
    assert "✓ hooks   pre-commit, pre-push, post-checkout" in done.stdout
    return project


@pytest.fixture
def guarded(hooked: Project, tmp_path: Path) -> Project:
    """A project of this test's own, with its Git hooks and a watcher that records network connections."""
    return watched(copy_project(hooked, tmp_path), tmp_path)


@pytest.fixture(scope="module")
def hooked_results(hooked: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `hooked`, after the first run, to copy only."""
    return train_light(copy_project(hooked, tmp_path_factory.mktemp("hooked_results")))


@pytest.fixture
def guarded_results(hooked_results: Project, tmp_path: Path) -> Project:
    """As `guarded`, after the first run."""
    return watched(copy_project(hooked_results, tmp_path), tmp_path)


def watched(project: Project, tmp_path: Path) -> Project:
    watcher = tmp_path / "watcher"
    watcher.mkdir()
    (watcher / "sitecustomize.py").write_text(
        "import sys\ndef hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        f"        open({str(tmp_path / 'connections')!r}, 'a').write(f'{{event}} {{args[1:]}}\\n')\n"
        "sys.addaudithook(hook)\n"
    )
    project.environment["PYTHONPATH"] = str(watcher)
    return project


def refused_commit(project: Project, path: str) -> str:
    """Try to commit one file; the commit must be refused, without any network connection."""
    head = project.git("rev-parse", "HEAD")
    project.git("add", path)
    done = project.run("git", "commit", "--message", "a change", code=1)
    assert project.git("rev-parse", "HEAD") == head
    assert not (project.path.parent / "connections").exists()
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("comment", ["", "# "], ids=["set", "commented out"])
def test_the_commit_hook_stops_a_key_pasted_into_the_dvc_configuration(guarded: Project, comment: str) -> None:
    with (guarded.path / ".dvc/config").open("a") as config:
        config.write(f"    {comment}secret_access_key = {SECRET_KEY}\n")
    printed = refused_commit(guarded, ".dvc/config")
    assert (
        "no secret in .dvc/config (take it out, dvc config --local …; was it ever pushed? ask for a new one)" in printed
    )
    assert "Failed\n- hook id: dvc-secrets\n- exit code: 1\n\n.dvc/config\n" in printed
    assert SECRET_KEY not in printed


PASTED = {
    "a value of YAML": ("params.yaml", "aws_access_key_id: {access}\naws_secret_access_key: {secret}\n"),
    "a comment of YAML": ("params.yaml", '# aws_access_key_id = "{access}"\n'),
    "a secret in a comment of YAML": ("params.yaml", "# secret_access_key: {secret}\n"),
    "Python": ("experiment.py", '# aws_access_key_id = "{access}"\n# aws_secret_access_key = "{secret}"\n'),
    "Markdown": ("notes.md", "export AWS_ACCESS_KEY_ID={access} AWS_SECRET_ACCESS_KEY={secret}\n"),
    "the DVC configuration, as a word": (".dvc/config", "    # region = {access}\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "text"), PASTED.values(), ids=PASTED)
def test_the_commit_hook_stops_an_aws_key_pasted_into_any_file(guarded: Project, path: str, text: str) -> None:
    """Not even in a comment; and nobody asks AWS whether the key is one of theirs."""
    with (guarded.path / path).open("a") as file:
        file.write(text.format(access=ACCESS_KEY, secret=SECRET_KEY))
    printed = refused_commit(guarded, path)
    assert re.search(
        r"no AWS .*, not even in a comment \(keys belong into ~/.aws/credentials or .*\)\.*Failed\n", printed
    )
    assert re.search(rf"- hook id: aws-.*\n- exit code: 1\n\n{re.escape(path)}\n", printed)
    assert ACCESS_KEY not in printed and SECRET_KEY not in printed


@pytest.mark.slow
def test_the_commit_hook_stops_other_secrets_too(guarded: Project) -> None:
    with (guarded.path / "experiment.py").open("a") as file:
        file.write('PASSWORD = "Tr0ub4dor-and-3"\n')
    assert "Secret Type: Secret Keyword\nLocation:    experiment.py:" in refused_commit(guarded, "experiment.py")


@pytest.mark.slow
def test_a_clean_commit_passes_every_hook_without_a_network(guarded: Project) -> None:
    lighten(guarded).repro()
    guarded.set_param("experiment.description", "a first look")
    guarded.git("add", "--all")
    guarded.run("git", "commit", "--message", "first results")
    assert guarded.git("log", "-1", "--format=%s") == "first results"
    assert guarded.git("status", "--porcelain") == ""
    assert not (guarded.path.parent / "connections").exists()


@pytest.mark.slow
def test_every_file_of_a_fresh_project_passes_every_hook(guarded: Project) -> None:
    done = guarded.run("pre-commit", "run", "--all-files")
    lines = [line for line in done.stdout.splitlines() if "..." in line]
    results = {line.split("...")[0]: line.rpartition(".")[2] for line in lines}
    assert results.pop("shellcheck") in ("Passed", "(no files to check)Skipped")
    assert set(results) == {
        "no secret in .dvc/config (take it out, dvc config --local …; was it ever pushed? ask for a new one)",
        "no AWS key ID, not even in a comment (keys belong into ~/.aws/credentials or .dvc/config.local)",
        "no AWS secret key, not even in a comment (keys belong into ~/.aws/credentials or .dvc/config.local)",
        "no secret anywhere",
        "no large file in Git (dvc add it)", "no outputs in notebooks (clear them, save, git add again)",
        "ruff check", "ruff format", "dvc status",
    }  # fmt: skip
    assert set(results.values()) == {"Passed"}
    assert not (guarded.path.parent / "connections").exists()


@pytest.mark.slow
def test_the_commit_hook_stops_a_large_file(guarded: Project) -> None:
    (guarded.path / "scan.bin").write_bytes(os.urandom(1_100_000))
    assert "scan.bin (1075 KB) exceeds 1024 KB." in refused_commit(guarded, "scan.bin")


# --- Git hooks that run DVC ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ran", [False, True], ids=["before the first run", "with results"])
def test_switching_branches_brings_the_data_and_results_of_that_branch(
    request: pytest.FixtureRequest, ran: bool
) -> None:
    guarded = request.getfixturevalue("guarded_results" if ran else "guarded")
    first = hashes(guarded)
    assert ("results/experiments.db" in first) == ran
    guarded.git("checkout", "--quiet", "-b", "more-data")
    bring_a_batch(guarded)
    if ran:
        guarded.repro()
        guarded.commit("second results")
    second = hashes(guarded)
    assert "data/incoming/batch_002.parquet" in set(second) - set(first)
    guarded.git("checkout", "--quiet", "main")
    assert hashes(guarded) == first
    guarded.git("checkout", "--quiet", "more-data")
    assert hashes(guarded) == second
    assert guarded.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_new_branch_keeps_a_batch_that_was_just_dropped(guarded: Project) -> None:
    guarded.drop_batch(2)
    before = hashes(guarded)
    guarded.git("checkout", "--quiet", "-b", "more-data")
    guarded.git("checkout", "--quiet", "--", "params.yaml")
    assert hashes(guarded) == before


@pytest.mark.slow
def test_a_branch_whose_data_is_not_on_this_machine_says_so(guarded_results: Project) -> None:
    guarded = guarded_results
    guarded.git("checkout", "--quiet", "-b", "more-data")
    bring_a_batch(guarded)
    pointer = yaml.safe_load((guarded.path / "data/incoming.dvc").read_text())["outs"][0]["md5"]
    guarded.git("checkout", "--quiet", "main")
    (guarded.path.parent / "cache/files/md5" / pointer[:2] / pointer[2:]).unlink()
    done = guarded.run("git", "checkout", "more-data", code=1)
    assert "Checkout failed for following targets:\ndata/incoming\nIs your cache up to date?" in done.stderr
    assert guarded.git("symbolic-ref", "--short", "HEAD") == "more-data"
