"""The bytes behind a hash: from the cache, else from the remote, and never unverified."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project

from lineage.core.errors import Refused
from lineage.tracked import recorded as records
from lineage.tracked import remote as objects
from lineage.tracked.cache import cache_folder, copy_out, is_whole, object_path


@pytest.fixture
def trained(light_trained: Project) -> Project:
    return light_trained


@pytest.fixture
def pushed(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trained project whose objects are in its remote; this process sees its HOME."""
    trained.dvc("push")
    monkeypatch.setenv("HOME", trained.environment["HOME"])
    cache_folder.cache_clear()
    return trained


def test_outputs_of_a_revision_are_those_of_its_lock_and_pointers(pushed: Project) -> None:
    now = records.recorded_outputs(pushed.path)
    assert {"data/incoming", "data/test.parquet", "data/train.parquet", "results/experiments.db"} <= set(now)
    assert records.recorded_outputs(pushed.path, "HEAD") == now
    assert set(records.recorded_outputs(pushed.path, "HEAD~1")) == {
        "data/incoming",
        "data/test.parquet",
        "results/incoming",
    }


def test_a_damaged_or_missing_object_comes_from_the_remote(pushed: Project) -> None:
    md5 = records.recorded_outputs(pushed.path)["data/train.parquet"]
    path = object_path(pushed.path, md5)
    good = path.read_bytes()
    for damage in (lambda: path.unlink(), lambda: (path.chmod(0o644), path.write_bytes(good[:-1]))):
        damage()
        assert objects.obtain(pushed.path, md5).read_bytes() == good
        assert not path.stat().st_mode & 0o222


def test_an_object_that_is_nowhere_is_refused(pushed: Project) -> None:
    with pytest.raises(Refused, match="is not in the cache and not in the remote"):
        objects.obtain(pushed.path, "0" * 32)


def test_the_remote_itself_is_asked_and_completed(pushed: Project) -> None:
    remote = objects.open_remote(pushed.path)
    assert remote is not None
    hashes = objects.with_files(pushed.path, records.recorded_outputs(pushed.path).values())
    assert objects.missing_in_remote(pushed.path, remote, hashes) == set()
    gone, cut = sorted(hashes)[:2]
    Path(remote.oid_to_path(gone)).unlink()
    place = Path(remote.oid_to_path(cut))
    place.chmod(0o644)
    place.write_bytes(b"cut off")
    assert objects.missing_in_remote(pushed.path, remote, hashes) == {gone, cut}
    assert objects.send(pushed.path, remote, hashes) == {gone, cut}
    assert objects.missing_in_remote(pushed.path, remote, hashes) == set()
    assert place.read_bytes() == objects.obtain(pushed.path, cut).read_bytes()


def test_a_copy_is_writable_and_apart_from_the_cache(pushed: Project, tmp_path: Path) -> None:
    md5 = records.recorded_outputs(pushed.path)["data/train.parquet"]
    source = objects.obtain(pushed.path, md5)
    copy_out(source, tmp_path / "copy.parquet")
    with (tmp_path / "copy.parquet").open("ab") as file:
        file.write(b"mine")
    assert is_whole(source, md5)
