"""Files and folders appear whole or not at all, whatever is killed or goes on meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lineage.core.errors import Refused
from lineage.tracked import whole_file
from lineage.tracked.cache import copy_out
from lineage.tracked.whole_file import draft_of, recover, write_text, written_whole


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "results/a.db"
    write_text(path, "old")
    return path


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def writes(text: str):
    return lambda temporary: temporary.write_text(text)


def write_whole(output: Path, build) -> None:
    with written_whole(output) as new:
        build(new)


def publish(output: Path, build) -> bool:
    with draft_of(output) as draft:
        build(draft.path)
        return draft.publish()


def test_a_new_file_takes_the_place_of_the_old(output: Path) -> None:
    assert publish(output, writes("new"))
    assert output.read_text() == "new" and names_in(output.parent) == ["a.db"]


def test_equal_bytes_and_nothing_to_do_leave_the_file_as_it_is(output: Path) -> None:
    inode = output.stat().st_ino
    write_whole(output, writes("old"))
    assert not publish(output, writes("old"))
    with draft_of(output) as draft:
        draft.path.write_text("other")
    assert (output.read_text(), output.stat().st_ino) == ("old", inode)
    assert publish(output, writes("odd")), "of the same size"
    write_whole(output, writes("own"))
    assert output.read_text() == "own", "of the same size"


@pytest.mark.parametrize("write", [write_whole, publish])
def test_a_build_that_fails_leaves_nothing(output: Path, write) -> None:
    def build(temporary: Path) -> None:
        temporary.write_text("half")
        temporary.with_name(f"{temporary.name}-journal").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"disk full"):
        write(output, build)
    assert output.read_text() == "old" and names_in(output.parent) == ["a.db"]


def test_what_killed_processes_left_goes_with_the_next_write_under_the_lock(output: Path) -> None:
    left = [output.with_name(".a.db.123.tmp"), output.with_name(".a.db.123.tmp-wal")]
    kept = [output.with_name(".b.db.123.tmp"), output.with_name(".a.db.x.tmp"), output.with_name("a.db.123.tmp")]
    for path in (*left, *kept):
        path.touch()
    write_whole(output, writes("new"))
    assert all(path.exists() for path in (*left, *kept)), "another process may be writing them"
    publish(output, writes("newer"))
    assert not any(path.exists() for path in left) and all(path.exists() for path in kept)


@pytest.mark.parametrize("write", [write_whole, publish])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_is_replaced_and_never_written_through(tmp_path: Path, link, write) -> None:
    cached, linked = tmp_path / "object", tmp_path / "a.db"
    cached.write_text("old")
    link(cached, linked)
    write(linked, writes("new"))
    assert (cached.read_text(), linked.read_text()) == ("old", "new") and not linked.is_symlink()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_copy_of_an_object_is_never_a_link_to_it(tmp_path: Path, link) -> None:
    cached, linked = tmp_path / "object", tmp_path / "out/a.db"
    cached.write_text("bytes")
    cached.chmod(0o444)
    linked.parent.mkdir()
    link(cached, linked)
    copy_out(cached, linked)
    linked.write_text("mine")
    assert cached.read_text() == "bytes" and names_in(linked.parent) == ["a.db"]


def test_another_writer_is_noticed(output: Path) -> None:
    def build(temporary: Path) -> None:
        temporary.write_text("new")
        output.write_text("theirs")

    with pytest.raises(Refused, match=r"a.db was changed by another program meanwhile; .*\n  → try again"):
        publish(output, build)
    assert output.read_text() == "theirs"


def test_a_database_that_is_open_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        with pytest.raises(Refused, match=r"write-ahead log; .*\n  → sqlite3 .*a.db 'PRAGMA journal_mode = DELETE'"):
            publish(path, writes("new"))


def fill(text: str):
    return lambda folder: write_text(folder / "deep/model.bin", text)


def read(folder: Path) -> str:
    return (folder / "deep/model.bin").read_text()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_swapped_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool) -> None:
    if not can_exchange:
        monkeypatch.setattr(whole_file, "exchange", lambda *_: False)
    folder = tmp_path / "models/production"
    for text in ("first", "second"):
        write_whole(folder, fill(text))
        assert read(folder) == text and names_in(folder.parent) == ["production"]


def test_a_folder_whose_build_fails_stays(tmp_path: Path) -> None:
    folder = tmp_path / "production"
    write_whole(folder, fill("old"))

    def build(new: Path) -> None:
        new.mkdir()
        (new / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"disk full"):
        write_whole(folder, build)
    assert read(folder) == "old"
    write_whole(folder, fill("new"))
    assert read(folder) == "new" and names_in(tmp_path) == ["production"]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ({"production": "old", ".production.7.tmp": "half"}, "old"),
        ({".production.old.tmp": "old", ".production.7.tmp": "new"}, "old"),
        ({"production": "new", ".production.old.tmp": "old"}, "new"),
        ({"production": "new", ".production.7.tmp": "old"}, "new"),
    ],
    ids=["while it was built", "between two renames", "after two renames", "after an exchange"],
)
def test_a_killed_swap_is_undone_or_completed(tmp_path: Path, left: dict[str, str], expected: str) -> None:
    for name, text in left.items():
        fill(text)(tmp_path / name)
    recover(tmp_path / "production")
    assert read(tmp_path / "production") == expected and names_in(tmp_path) == ["production"]
