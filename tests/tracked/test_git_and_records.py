"""Git is asked about the folder that is meant, and the records of DVC are read as DVC writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from lineage.core.errors import BadInput, Refused
from lineage.extras.compare.difference import has_commit
from lineage.extras.merge_artifacts.backup_tag import pin, where_recorded
from lineage.results.version_results import params_at
from lineage.tracked.cache import cache_folder, cached_object, object_path
from lineage.tracked.git import code_state, git, git_bytes, must_git, run
from lineage.tracked.hashes import file_md5, manifest_of, path_md5, write_listing
from lineage.tracked.recorded import recorded_md5, recorded_outputs, yaml_in_git

LOCK = """schema: '2.0'
stages:
  train:
    cmd: python train.py
    params:
      params.yaml:
        rate: 1e-05
    outs:
    - path: results/a.db
      hash: md5
      md5: {md5}
      size: 1
    - path: results/metrics.json
      md5: 2222
    - path: results/local
      md5: 3333.dir
    - path: path
      md5: '4444'
"""
PIPELINE = """stages:
  train:
    cmd: python train.py
    outs: [plain, results/a.db: {persist: true}, results/local: {push: false}, path: {persist: true}]
    metrics: [results/metrics.json: {cache: false}]
  swept:
    foreach: [1, 2]
    do: {cmd: "true"}
"""
POINTER = "outs:\n- md5: 5555.dir\n  path: incoming\n- path: from-elsewhere\n  etag: x\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that has another one around it, and a user."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada Lovelace")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.com")
    root = tmp_path / "outer/project"
    (root / "results").mkdir(parents=True)
    (root / "data").mkdir()
    (root / ".dvc").mkdir()
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path}/cache\n")
    for folder in (root.parent, root):
        must_git(folder, "init", "--quiet")
    (root / "dvc.lock").write_text(LOCK.format(md5="1111"))
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "data/incoming.dvc").write_text(POINTER)
    (root / ".gitignore").write_text("ignored\n")
    (root / "ignored").mkdir()
    (root / "ignored/x.dvc").write_text("not: [yaml")
    must_git(root, "add", "--all")
    must_git(root, "commit", "--quiet", "--message", "first")
    cache_folder.cache_clear()
    return root


def test_a_hook_of_another_repository_does_not_lead_git_astray(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git(root, "rev-parse", "HEAD")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"):
        monkeypatch.setenv(name, str(root.parent / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(root.parent / ".git/objects"))
    assert git(root, "rev-parse", "--show-toplevel") == str(root)
    assert must_git(root, "rev-parse", "HEAD") == commit == code_state(root)[0]
    assert "dvc.lock" in run(root, "git", "ls-files").stdout.split()
    assert run(root, "sh", "-c", "echo $GIT_DIR$GIT_INDEX_FILE").stdout == "\n"


def test_an_index_of_its_own_leaves_that_of_the_repository(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "index"
    must_git(root, "read-tree", "HEAD", GIT_INDEX_FILE=own)
    must_git(root, "rm", "--quiet", "--cached", "dvc.lock", GIT_INDEX_FILE=own)
    assert "dvc.lock" not in must_git(root, "ls-files", GIT_INDEX_FILE=own).split()
    assert "dvc.lock" in must_git(root, "ls-files").split()
    assert code_state(root)[1] == 0


def test_looking_does_not_write_the_index(root: Path) -> None:
    index = root / ".git/index"
    (root / "dvc.yaml").touch()
    before = index.read_bytes()
    assert git(root, "status", "--porcelain") == ""
    assert index.read_bytes() == before


def test_what_git_says_is_passed_on(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"git rev-parse failed: fatal: .*nosuch.*\n  → git log"):
        must_git(root, "-c", "core.quotepath=off", "rev-parse", "nosuch", remedy="git log")
    assert git(root, "rev-parse", "nosuch") is None and git(tmp_path, "rev-parse", "HEAD") is None
    (root / "odd").write_bytes(b"\xff\r\n\n")
    blob = must_git(root, "hash-object", "-w", "--no-filters", "odd")
    assert git_bytes(root, "cat-file", "blob", blob) == b"\xff\r\n\n"
    assert git(root, "cat-file", "blob", blob) == "\udcff\r"


def test_what_is_a_commit_of_this_clone(root: Path) -> None:
    commit = must_git(root, "rev-parse", "HEAD")
    assert has_commit(root, commit)
    for other in (None, 7, "HEAD", "0" * 40, f"{commit}\n", must_git(root, "rev-parse", "HEAD^{tree}")):
        assert not has_commit(root, other)


def test_a_machine_without_git(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert git(root, "version") is None and code_state(root) == (None, None)
    with pytest.raises(FileNotFoundError):
        run(root, "git", "version")


def test_outputs_are_those_with_bytes_in_the_cache(root: Path) -> None:
    expected = {"results/a.db": "1111", "results/local": "3333.dir", "path": "4444", "data/incoming": "5555.dir"}
    assert recorded_outputs(root) == recorded_outputs(root, "HEAD") == expected
    del expected["results/local"]
    assert recorded_outputs(root, pushed=True) == expected
    assert recorded_md5(root, "data/incoming") == "5555.dir"
    assert recorded_md5(root, "nosuch") is None and recorded_md5(root, "data/from-elsewhere") is None


def test_records_are_those_of_the_revision(root: Path) -> None:
    (root / "dvc.lock").write_text(LOCK.format(md5="9999"))
    (root / "new.dvc").write_text("outs: [{path: new, md5: '6666'}]")
    assert recorded_md5(root, "results/a.db") == "9999" and recorded_md5(root, "results/a.db", "HEAD") == "1111"
    assert "new" in recorded_outputs(root) and "new" not in recorded_outputs(root, "HEAD")
    must_git(root, "rm", "--quiet", "--cached", "dvc.lock", "dvc.yaml")
    for name in ("dvc.lock", "dvc.yaml"):
        (root / name).unlink()
    assert recorded_outputs(root) == {"data/incoming": "5555.dir", "new": "6666"}


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\nstages:\n", "[1, 2]\n", "stages: {train: {outs: [5]}}\n"])
def test_a_record_that_cannot_be_read_is_named(root: Path, text: str) -> None:
    (root / "dvc.lock").write_text(text)
    with pytest.raises(BadInput, match=r"^dvc.lock cannot be read: .*\n  → git checkout -- dvc.lock$"):
        recorded_outputs(root)
    must_git(root, "commit", "--quiet", "--all", "--message", "broken")
    with pytest.raises(BadInput, match=r"^HEAD:dvc.lock cannot be read: [^\n]*$"):
        recorded_md5(root, "results/a.db", "HEAD")


def test_paths_and_hashes_are_text_as_dvc_reads_them(root: Path) -> None:
    """YAML 1.1 knows more numbers and truths than DVC does: `on`, `1:30`; only DVC quotes what it would misread."""
    pipeline = "x: &quiet {push: false}\nstages: {a: {outs: [on: {<<: *quiet}, 1:30: {cache: FALSE}, 12e4: {}]}}\n"
    (root / "dvc.yaml").write_text(pipeline)
    (root / "dvc.lock").write_text(
        "stages: {a: {outs: [{path: on, md5: 1e9}, {path: 1:30, md5: 010}, {path: '12e4', md5: 8}]}}"
    )
    assert recorded_outputs(root) == {"data/incoming": "5555.dir", "on": "1e9", "12e4": "8"}
    assert recorded_outputs(root, pushed=True) == {"data/incoming": "5555.dir", "12e4": "8"}


def test_params_of_a_commit_are_those_that_dvc_reads(root: Path) -> None:
    text = "a: 010\nb: 1e-5\nc: 1:30\nd: on\n"
    (root / "params.yaml").write_text(text)
    must_git(root, "add", "--all")
    must_git(root, "commit", "--quiet", "--message", "params")
    commit = must_git(root, "rev-parse", "HEAD")
    assert yaml_in_git(root, commit, "params.yaml") == {"a": 10, "b": 0.00001, "c": "1:30", "d": "on"}
    assert yaml_in_git(root, commit, "params.yaml") == load_yaml(str(root / "params.yaml"))
    assert yaml_in_git(root, commit, "nosuch.yaml") == {}
    (root / "params.yaml").write_text("a: 1\na: 2\n")
    must_git(root, "commit", "--quiet", "--all", "--message", "broken")
    commit = must_git(root, "rev-parse", "HEAD")
    with pytest.raises(BadInput, match=rf"^{commit[:7]}:params.yaml cannot be read: .*duplicate key.*[^\n]*$"):
        params_at(root, commit)


def test_hashes_are_those_of_dvc(tmp_path: Path) -> None:
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.local import LocalFileSystem

    folder = tmp_path / "folder"
    for name in ("b.txt", "a/z.txt", "a.txt", "ä/ö ü.txt", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 700_000 if name != "empty" else b"")
    database = HashFileDB(LocalFileSystem(), str(tmp_path / "objects"))
    _, _, found = build(database, str(folder), LocalFileSystem(), "md5")
    assert path_md5(folder) == found.hash_info.value
    assert write_listing(manifest_of(folder)).encode() == found.as_bytes()
    (folder / ".b.txt.123.tmp").touch()
    assert path_md5(folder) == found.hash_info.value, "our own temporary files do not count"
    assert file_md5(folder / "empty") == path_md5(folder / "empty") == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("known", [True, False])
def test_a_backup_tag_names_the_bytes_and_changes_nothing_else(root: Path, known: bool) -> None:
    name = "results/a.db" if known else "results/b.db"
    (root / name).write_bytes(b"rows")
    md5 = file_md5(root / name)
    assert where_recorded(root, name) == "in no commit; --backup-tag NAME would pin it"
    before = [must_git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain"), ("write-tree",))]
    pin(root, name, "before")
    after = [must_git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain"), ("write-tree",))]
    assert after == before
    assert where_recorded(root, name) == f"that of before: dvc get . {name} --rev before"
    assert recorded_md5(root, name, "before") == md5
    copy = cached_object(root, md5)
    assert copy is not None and copy.read_bytes() == b"rows" and not copy.stat().st_mode & 0o222
    changed = must_git(root, "diff", "--name-only", "HEAD", "before").split()
    assert changed == ["dvc.lock" if known else f"{name}.dvc"]
    if known:
        assert "rate: 1e-05" in must_git(root, "show", "before:dvc.lock"), "params stay the numbers they are"
    for tag in ("before", "no tag"):
        with pytest.raises(BadInput, match=r"there is such a tag, or Git takes no such name"):
            pin(root, name, tag)


def test_there_is_nothing_to_pin(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nosuch does not exist, so there is nothing to back up"):
        pin(root, "nosuch", "before")
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"a tag needs a Git repository with a commit"):
        pin(tmp_path, "file", "before")


def test_where_the_cache_is(root: Path, tmp_path: Path) -> None:
    assert object_path(root, "abcdef") == tmp_path / "cache/files/md5/ab/cdef"
    assert cache_folder(tmp_path) == tmp_path / ".dvc/cache"
    cache_folder.cache_clear()
    (root / ".dvc/config.local").write_text('[cache]\n    dir = "/with # sign"\n')
    assert cache_folder(root) == Path("/with # sign"), "what is not plain is read by DVC"
    cache_folder.cache_clear()
