"""Git's merge driver for what DVC records: `dvc.lock` stage by stage, folders file by file, tables and data row by row."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from lineage.core import paths
from lineage.core.errors import LineageError, Refused
from lineage.merge.data import merge_data, write_new_rows
from lineage.merge.databases import merge_databases
from lineage.merge.rules import Rules
from lineage.tracked.cache import store_object
from lineage.tracked.hashes import file_md5, write_listing
from lineage.tracked.remote import listing, obtain
from lineage.tracked.whole_file import write_text

Entries = dict[str, Any]


def drive(root: Path, ancestor: Path, ours: Path, theirs: Path, path: str) -> int:
    """Merge three versions of a file into `ours`, as Git asks of a merge driver.

    Args:
        root: top of the working tree.
        ancestor, ours, theirs: the versions; the ancestor is empty when there is none.
        path: the file's name: `dvc.lock`, a `.dvc` file, or a metrics file that `dvc repro` writes again.
    Returns:
        0; or 1 after conflict marks were written and the reason was said.
    """
    if path.endswith(".json"):
        return 0  # what the newest run of ours reports; dvc repro writes it again
    try:
        base, mine, other = (
            yaml.safe_load(file.read_bytes()) or {} for file in (ancestor, ours, theirs)
        )
        if path == paths.PIPELINE_LOCK:
            stages = [side.get("stages") or {} for side in (base, mine, other)]
            merged = {**mine, "stages": _three_way(lambda _, *sides: _stage(root, *sides), *stages)}
        else:
            merged = {**mine, "outs": _outputs(root, base, mine, other, None)}
        write_text(ours, yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, width=1000))
    except (LineageError, yaml.YAMLError) as error:
        labels = ("-L", "ours", "-L", "base", "-L", "theirs")
        subprocess.run(
            ["git", "merge-file", "--quiet", *labels, ours, ancestor, theirs], check=False
        )
        print(
            f"{path} is left with conflict marks: {getattr(error, 'problem', error)}",
            file=sys.stderr,
        )
        print(
            f"  → git checkout --ours {path} && git add {path}   # or --theirs; then: dvc checkout",
            file=sys.stderr,
        )
        return 1
    print(f"{path} merged; next: dvc checkout && dvc repro", file=sys.stderr)
    return 0


def _three_way(
    both_changed: Callable[..., Any], base: Entries, ours: Entries, theirs: Entries
) -> Entries:
    """Take what only one side changed; ask `both_changed(name, base, ours, theirs)` about the rest. None: not there."""
    merged = {}
    for name in dict.fromkeys([*ours, *theirs]):
        old, mine, other = (side.get(name) for side in (base, ours, theirs))
        chosen = (
            mine
            if other in (old, mine)
            else other
            if mine == old
            else both_changed(name, old, mine, other)
        )
        if chosen is not None:
            merged[name] = chosen
    return merged


def _stage(root: Path, base: Any, ours: Any, theirs: Any) -> Any:
    """Ours, with what accumulates merged. The deps of ours stay, so that `dvc status` sees what to run again."""
    if ours is None or theirs is None:
        return ours or theirs
    params = (ours.get("params") or {}).get(paths.PARAMS) or {}
    return {**ours, "outs": _outputs(root, base or {}, ours, theirs, params)}


def _outputs(
    root: Path, base: Any, ours: Any, theirs: Any, params: Entries | None
) -> list[Entries]:
    """The outputs of one stage, or of one `.dvc` file (`params` is None), by their paths."""

    def merge(path: str, old: Any, mine: Any, other: Any) -> Any:
        if mine is None or other is None:
            return mine or other
        hashes = [(entry or {}).get("md5") or "" for entry in (old, mine, other)]
        if params is None and not all(md5.endswith(".dir") for md5 in hashes[1:]):
            raise Refused(f"both sides changed {path}")
        if params is None or path == paths.CANDIDATES:
            return {**mine, **_folders(root, *hashes)}
        if path == paths.DATABASE:
            return {**mine, **_databases(root, *hashes)}
        if path == paths.TRAIN_DATA:
            return {
                **mine,
                **_data(root, tuple(params.get("merge.data_key_columns") or ()), *hashes),
            }
        if path == paths.PRODUCTION:
            print(
                "both sides promoted a model: ours stays, theirs is among the candidates",
                file=sys.stderr,
            )
        return mine

    sides = [{out["path"]: out for out in side.get("outs") or []} for side in (base, ours, theirs)]
    return list(_three_way(merge, *sides).values())


def _folders(root: Path, base: str, ours: str, theirs: str) -> Entries:
    def clash(name: str, *_: Any) -> Any:
        raise Refused(f"both sides changed {name}")

    files = _three_way(
        clash, *(listing(root, md5) if md5.endswith(".dir") else {} for md5 in (base, ours, theirs))
    )
    size = sum(obtain(root, md5).stat().st_size for md5 in files.values())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "listing")
        file.write_text(write_listing(files), encoding="utf-8")
        return {**_store(root, file, ".dir"), "size": size, "nfiles": len(files)}


def _databases(root: Path, base: str, ours: str, theirs: str) -> Entries:
    mine, other, old = (
        obtain(root, ours),
        obtain(root, theirs),
        obtain(root, base) if base else None,
    )
    rules = Rules("merge", ancestors=dict.fromkeys((mine, other), old) if old else {})
    with tempfile.TemporaryDirectory() as folder:
        own, both, merged = (Path(folder, name) for name in ("own", "both", "merged"))
        if old:
            merge_databases(None, [mine], own, rules)
            merge_databases(
                own, [other], both, rules
            )  # refuses what both sides changed differently
        merge_databases(
            mine, [other], merged, replace(rules, on_conflict="incoming" if old else "fail")
        )
        return _store(root, merged)


def _data(root: Path, keys: tuple[str, ...], base: str, ours: str, theirs: str) -> Entries:
    mine, other, rules, name = (
        obtain(root, ours),
        obtain(root, theirs),
        Rules("merge", keys),
        paths.TRAIN_DATA,
    )
    with tempfile.TemporaryDirectory() as folder:
        own, new, both, merged = (
            Path(folder, f"{name}.parquet") for name in ("own", "new", "both", "merged")
        )
        if base:
            old = obtain(root, base)
            write_new_rows(mine, old, own)
            write_new_rows(other, old, new)
            merge_data(
                [own], [new], both, rules, name
            )  # refuses what both sides changed differently
            other, rules = new, Rules("rebase" if keys else "merge", keys)
        merge_data([mine], [other], merged, rules, name)
        return _store(root, merged)


def _store(root: Path, file: Path, ending: str = "") -> Entries:
    md5 = file_md5(file) + ending
    store_object(root, file, md5)
    return {"md5": md5, "size": file.stat().st_size}
