"""The door to an accumulated output opens for the recorded version and what was built on it, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml

from lineage.core.errors import Refused
from lineage.tracked.cache import cache_folder, cached_object, object_path, store_object
from lineage.tracked.git import must_git
from lineage.tracked.guarded_output import check_base, guarded_output, keep_recoverable
from lineage.tracked.hashes import manifest_of, path_md5, write_listing
from lineage.tracked.recorded import recorded_md5

NAME, FOLDER = "data/train.parquet", "results/predictions"


def parquet(path: Path, *numbers: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY (SELECT unnest({list(numbers)}) AS id) TO '{path}' (FORMAT parquet)")
    return path


def put_in_cache(root: Path, name: str) -> str:
    path = root / name
    md5 = path_md5(path)
    if path.is_dir():
        for file, each in manifest_of(path).items():
            store_object(root, path / file, each)
        (root / "listing").write_text(write_listing(manifest_of(path)))
        path = root / "listing"
    store_object(root, path, md5)
    return md5


def record(root: Path, name: str) -> str:
    """What DVC does after a stage."""
    md5 = put_in_cache(root, name)
    lock = {"schema": "2.0", "stages": {"merge": {"outs": [{"path": name, "md5": md5}]}}}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    return md5


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path}/cache\n")
    cache_folder.cache_clear()
    return root


def test_the_first_write_has_no_base(root: Path) -> None:
    with guarded_output(root, NAME) as output:
        assert output.base is None and output.draft.parent == (root / NAME).parent
        parquet(output.draft, 1)
        assert output.publish(replaces=True)
    assert (root / NAME).is_file() and list((root / "data").iterdir()) == [root / NAME]


def test_rows_are_added_to_the_recorded_base(root: Path) -> None:
    parquet(root / NAME, 1, 2)
    record(root, NAME)
    with guarded_output(root, NAME) as output:
        assert output.base == root / NAME
        parquet(output.draft, 1, 2, 3)
        assert output.publish(replaces=False)
    with guarded_output(root, NAME) as output:  # killed before dvc.lock was written
        parquet(output.draft, 1, 2, 3)
        assert not output.publish(replaces=False)


def test_rows_that_go_must_be_recoverable(root: Path) -> None:
    parquet(root / NAME, 1, 2)
    record(root, NAME)
    with guarded_output(root, NAME) as output:
        parquet(output.draft, 2)
        assert output.publish(replaces=True)
    parquet(root / NAME, 1, 2, 3)
    before = (root / NAME).read_bytes()
    with (
        pytest.raises(Refused, match=r"would lose rows or files, and its present bytes are recorded nowhere"),
        guarded_output(root, NAME) as output,
    ):
        parquet(output.draft, 2)
        output.publish(replaces=True)
    assert (root / NAME).read_bytes() == before


def test_another_door_waits_for_this_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineage.tracked.guarded_output.LOCK_SECONDS", 0.1)
    from lineage.tracked.guarded_output import locked

    with guarded_output(root, NAME):
        with pytest.raises(Refused, match=r"train.parquet is still being written"), locked(root, NAME):
            pass
        with locked(root, FOLDER):
            pass
    with locked(root, NAME):
        pass


@pytest.mark.parametrize("name", [NAME, FOLDER])
def test_a_missing_output_is_not_started_over(root: Path, name: str) -> None:
    parquet(root / name if name == NAME else root / name / "run.parquet", 1)
    md5 = record(root, name)
    (root / name).rename(root / "elsewhere")
    with pytest.raises(Refused, match=f"{name} is missing although dvc.lock records it; .*\n  → dvc checkout {name}$"):
        check_base(root, name)
    object_path(root, md5).unlink()
    with pytest.raises(Refused, match=f"\n  → dvc pull {name}$"):
        check_base(root, name)


def test_a_file_must_hold_the_recorded_rows(root: Path) -> None:
    parquet(root / NAME, 1, 2)
    md5 = record(root, NAME)
    parquet(root / NAME, 2, 1, 3)
    assert check_base(root, NAME) == root / NAME
    parquet(root / NAME, 1, 3)
    with pytest.raises(Refused, match=f"lacks rows or files .*\n  → cp -r {NAME} .*\n  → dvc checkout --force {NAME}$"):
        check_base(root, NAME)
    object_path(root, md5).unlink()
    with pytest.raises(Refused, match=f"the recorded version is not in the cache to compare\n  → dvc fetch {NAME}$"):
        check_base(root, NAME)


def test_a_folder_must_hold_the_recorded_files_or_be_excused(root: Path) -> None:
    for run in ("a", "b"):
        parquet(root / FOLDER / f"{run}.parquet", 1)
    record(root, FOLDER)
    recorded = manifest_of(root / FOLDER)
    parquet(root / FOLDER / "c.parquet", 1, 2, 3)
    assert check_base(root, FOLDER) == root / FOLDER
    parquet(root / FOLDER / "a.parquet", 9)
    with pytest.raises(Refused, match=r"lacks rows or files that dvc.lock records"):
        check_base(root, FOLDER)
    asked = []
    assert check_base(root, FOLDER, lambda *places: asked.append(places) is None) == root / FOLDER
    assert asked == [(root / FOLDER, recorded)]


def test_the_remedy_for_a_stale_checkout_takes_the_pointers_along(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{variable}_NAME", "Ada Lovelace")
        monkeypatch.setenv(f"GIT_{variable}_EMAIL", "ada@example.com")
    must_git(root, "init", "--quiet")
    inbox, pointer = root / "data/incoming", root / "data/incoming.dvc"

    def drop(number: int) -> None:
        """Drop a batch, and note it as `dvc repro` does before any stage runs."""
        parquet(inbox / f"{number}.parquet", number)
        pointer.write_text(yaml.safe_dump({"outs": [{"path": "incoming", "md5": put_in_cache(root, "data/incoming")}]}))

    for number in (1, 2):
        drop(number)
        parquet(root / NAME, *range(number))
        record(root, NAME)
        must_git(root, "add", "dvc.lock", "data/incoming.dvc")
        must_git(root, "commit", "--quiet", "--message", str(number))
    newer = pointer.read_text()
    must_git(root, "branch", "newer")
    must_git(root, "checkout", "--quiet", "HEAD~1")
    older = pointer.read_text()

    def remedy() -> str:
        with pytest.raises(Refused, match=r"another one, left behind by a git checkout") as refused:
            check_base(root, NAME)
        return refused.value.remedy or ""

    restored = "git checkout -- data/incoming.dvc && dvc checkout"
    assert remedy() == "dvc checkout"
    pointer.write_text(newer)
    assert remedy() == restored
    drop(3)
    assert remedy() == f"cp -r data/incoming data/incoming.mine   # your new files\n  → {restored}"
    parquet(root / NAME, 1, 2, 3)
    put_in_cache(root, NAME)  # DVC was killed before it wrote dvc.lock: nobody has changed the commit
    assert remedy() == "dvc checkout"
    pointer.write_text(older)
    object_path(root, recorded_md5(root, "data/incoming") or "").unlink()
    assert remedy() == "dvc pull"


@pytest.mark.parametrize("name", [NAME, FOLDER])
def test_what_is_replaced_is_in_the_cache_first(root: Path, name: str) -> None:
    file = parquet(root / name if name == NAME else root / name / "run.parquet", 1)
    with pytest.raises(Refused, match=f"{name} would be replaced, and its bytes are recorded nowhere\n  → mv {name}"):
        keep_recoverable(root, name)
    record(root, name)
    path = object_path(root, path_md5(file))
    listing = object_path(root, path_md5(root / name))
    for lost in {path, listing}:
        lost.unlink()  # only the remote has it
    keep_recoverable(root, name)
    assert listing.is_file() and path_md5(root / name) == recorded_md5(root, name)
    assert path.read_bytes() == file.read_bytes() and cached_object(root, path_md5(file)) == path
    parquet(file, 2)
    with pytest.raises(
        Refused, match=r"present bytes are recorded nowhere\n  → dvc commit .*\n  → dvc checkout --force"
    ):
        keep_recoverable(root, name)
    put_in_cache(root, name)
    keep_recoverable(root, name)


def test_an_empty_folder_has_nothing_to_lose(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    keep_recoverable(root, FOLDER)
