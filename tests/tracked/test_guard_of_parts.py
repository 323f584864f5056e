"""The guard of training data that are parts, and the hashes of large files, which are remembered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lineage.core.errors import Refused
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules
from lineage.tables.parts import parts_of
from lineage.tracked import hashes
from lineage.tracked.cache import cache_folder, store
from lineage.tracked.guarded_output import check_base, guarded_output
from lineage.tracked.hashes import bytes_md5, file_md5

NAME = "data/train.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path}/cache\n")
    cache_folder.cache_clear()
    return root


def merge(root: Path, *numbers: int, layout: str = "parts", strategy: str = "merge", x: int = 0) -> bool:
    """What the stage does with a batch of rows."""
    batch = root / "batch.parquet"
    pq.write_table(pa.table({"id": numbers, "x": [x] * len(numbers)}), batch)
    with guarded_output(root, NAME) as output:
        base = [output.base] if output.base else []
        plan = merge_data(base, [batch], output.draft, Rules(strategy, ("id",), layout=layout), NAME)
        return output.publish(replaces=plan.replaced > 0)


def record(root: Path) -> None:
    """What DVC does after a stage."""
    entry = {"path": NAME, "md5": store(root, root / NAME)}
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"merge": {"outs": [entry]}}}))


def ids(root: Path) -> list[int]:
    return pq.read_table(root / NAME).column("id").to_pylist()


def test_a_folder_is_swapped_in_whole_and_nothing_is_left_beside_it(root: Path) -> None:
    assert merge(root, 1, 2)
    assert merge(root, 3)
    assert ids(root) == [1, 2, 3]
    assert [path.name for path in (root / "data").iterdir()] == ["train.parquet"]
    before = {path: path.stat().st_mtime_ns for path in (root / NAME).iterdir()}
    assert not merge(root, 3), "nothing is new"
    assert before == {path: path.stat().st_mtime_ns for path in (root / NAME).iterdir()}
    assert merge(root, layout="file")
    assert (root / NAME).is_file() and ids(root) == [1, 2, 3]
    assert merge(root)
    assert len(parts_of(root / NAME)) == 2 and ids(root) == [1, 2, 3]


@pytest.mark.parametrize(("first", "then"), [("parts", "parts"), ("parts", "file"), ("file", "parts")])
def test_a_merge_whose_record_was_lost_is_built_on_in_either_layout(root: Path, first: str, then: str) -> None:
    """As after a kill before DVC wrote dvc.lock."""
    merge(root, 1, 2, layout=first)
    record(root)
    merge(root, 3, layout=then)
    assert check_base(root, NAME) == root / NAME
    assert ids(root) == [1, 2, 3]


def test_parts_that_lack_recorded_rows_are_refused_with_what_helps(root: Path) -> None:
    merge(root, 1, 2)
    merge(root, 3)
    record(root)
    for part in parts_of(root / NAME)[::2]:
        kept = part.read_bytes()
        part.unlink()
        with pytest.raises(
            Refused, match=f"{NAME} lacks rows or files that dvc.lock records; .*\n.*\n  → dvc checkout"
        ):
            merge(root, 4)
        part.write_bytes(kept)
    shutil.rmtree(root / NAME)
    with pytest.raises(Refused, match=r"is missing although dvc.lock records it; .*\n  → dvc checkout data"):
        merge(root, 4)
    (root / NAME).mkdir()
    with pytest.raises(Refused, match="lacks rows or files"):
        merge(root, 4)


def test_a_rebase_replaces_recorded_parts_only(root: Path) -> None:
    merge(root, 1, 2)
    with pytest.raises(Refused, match="its bytes are recorded nowhere"):
        merge(root, 2, strategy="rebase", x=1)
    record(root)
    old = parts_of(root / NAME)[0].read_bytes()
    assert merge(root, 2, strategy="rebase", x=1)
    assert pq.read_table(root / NAME).to_pylist() == [{"id": 1, "x": 0}, {"id": 2, "x": 1}]
    (root / "old.parquet").write_bytes(old)
    assert pq.read_table(root / "old.parquet").column("id").to_pylist() == [1, 2]


def test_a_part_written_by_another_program_meanwhile_is_noticed(root: Path) -> None:
    merge(root, 1, 2)
    with guarded_output(root, NAME) as output:
        rules = Rules("merge", ("id",), layout="parts")
        merge_data([root / NAME], [root / "batch.parquet"], output.draft, rules, NAME)
        (output.draft / "more").touch()
        part = parts_of(root / NAME)[0]
        part.write_bytes(part.read_bytes() + b" ")
        with pytest.raises(Refused, match="was changed by another program meanwhile"):
            output.publish(replaces=False)


def test_a_large_file_is_read_once_until_it_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(hashes, "bytes_md5", lambda path: (read.append(path), bytes_md5(path))[1])
    large = root / "large.bin"
    large.write_bytes(bytes(1 << 20))
    expected = bytes_md5(large)
    assert [file_md5(large), file_md5(large), len(read)] == [expected, expected, 2], "it is new, and may change again"
    settled = large.stat().st_mtime_ns - 10 * 10**9
    os.utime(large, ns=(settled, settled))
    linked = root / "linked.bin"
    linked.hardlink_to(large)
    assert [file_md5(large), file_md5(linked), len(read)] == [expected, expected, 3]
    large.unlink()
    large.write_bytes(bytes(1 << 20)[:-1] + b"1")
    os.utime(large, ns=(settled, settled + 1))
    assert file_md5(large) == bytes_md5(large) != expected
    for note in (root / ".dvc/tmp/lineage/hashes").iterdir():
        note.write_text("")  # of a process that was killed
    assert file_md5(linked) == expected
