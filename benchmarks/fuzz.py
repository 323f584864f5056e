"""Damaged files, damaged params and odd Git configurations against the real code: a clear line or the right result, and the base whole.

    python benchmarks/fuzz.py --minutes 60 --seed 1

Each try is a process of its own: bytes of a parquet file, a database, a CSV or JSON file, or `params.yaml` are changed, and the
file is merged or read; every so often a whole command runs in a project under a random Git configuration. Prints for each kind how
often it was `refused` (with a clear message), `right`, `differs` (merged, but read otherwise by pyarrow or sqlite3: look at it), ended
in a `traceback`, changed the `base`, left something `beside` it; and `crash` or `hang`, which are those of DuckDB, SQLite or pyarrow
themselves. What was not refused or right is kept in build/fuzz/. Exit code 1: a traceback, a changed base, or something beside it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from corpus import ROOT, difference, parquet_rows, sqlite_rows
from forked import in_a_fork

from lineage.core.errors import LineageError
from lineage.core.params import read_params
from lineage.extras.merge_artifacts.databases import merge_databases
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules

KINDS = ("parquet", "sqlite", "text", "base", "params", "git")
OURS = ("traceback", "base", "beside", "message")
"""Outcomes that are our fault, whatever the input is."""

COMMANDS_EVERY = 200
"""One try of so many is a whole command, which takes as long as a hundred others."""

ODD_VALUES = (
    *(
        "",
        "null",
        "~",
        "-1",
        "0",
        "1e999",
        ".nan",
        "010",
        "yes",
        "[]",
        "{}",
        "[1, [2]]",
        "'",
        '"',
        "!!set {a}",
        "&a 1",
        "*a",
        "{{ x }}",
    ),
    *(
        "!!python/object/apply:os.system [true]",
        "\t",
        "\x00",
        "é",
        "\u202e",
        "9" * 400,
        "2024-01-01",
        "- a",
        "? a",
        "<<: *b",
        "a: b: c",
    ),
)
GIT_OPTIONS = {
    "core.autocrlf": ("true", "input", "false"),
    "core.safecrlf": ("true", "warn"),
    "core.hooksPath": ("/nonexistent", "hooks"),
    "core.excludesFile": ("{ignore}",),
    "core.fileMode": ("false", "true"),
    "core.quotePath": ("true", "false"),
    "core.pager": ("false",),
    "core.fsmonitor": ("false",),
    "status.showUntrackedFiles": ("no", "all"),
    "diff.external": ("false",),
    "color.ui": ("always",),
    "init.defaultBranch": ("trunk",),
    "commit.gpgSign": ("true",),
    "tag.gpgSign": ("true",),
    "user.useConfigOnly": ("true",),
    "safe.directory": ("", "*"),
    "log.showSignature": ("true",),
    "fetch.prune": ("true",),
    "i18n.commitEncoding": ("ISO-8859-1",),
}
IGNORED = ("data/\n", "*.lock\n", "*\n", "*.yaml\n", "results/\n", "")
COMMANDS = (
    "merge_data.py",
    "doctor.py",
    "setup_project.py",
    "experiment_explorer.py list",
    "version_tag.py --suggest",
    "model_manager.py list",
)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Bytes with a few of them changed: flipped, cut off, doubled, set to zeros or to large numbers; often near the end or the start."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        end = len(changed)
        if not end:
            break
        region = chance.choice(((0, end), (0, end), (max(0, end - 2000), end), (0, min(end, 200))))
        place = chance.randrange(*region)
        how = chance.randrange(12)
        if how <= 6:
            changed[place] ^= 1 << chance.randrange(8)
        elif how == 7:
            del changed[place:]
        elif how == 8:
            length = chance.choice((1, 4, 16, 100))
            changed[place : place + length] = bytes(len(changed[place : place + length]))
        elif how == 9:
            changed[place : place + 4] = chance.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00"))
        else:
            changed[place:place] = changed[place : place + chance.choice((1, 8, 64))]
    return bytes(changed)


def damaged_lines(content: str, chance: random.Random) -> str:
    """Text with lines taken out, doubled, indented, or with another value."""
    lines = content.splitlines(keepends=True)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(lines))
        key, colon, _ = lines[place].partition(":")
        odd = chance.choice(ODD_VALUES)
        lines[place] = chance.choice(
            (
                "",
                lines[place] * 2,
                " " + lines[place],
                lines[place].lstrip(),
                f"{key}{colon} {odd}\n",
                f"{odd}\n",
                f"{key}x{colon} {odd}\n",
            )
        )
    return "".join(lines)


def make_seeds(folder: Path) -> None:
    """Small whole files of many types, encodings and features."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    table = pa.table(
        {
            "id": pa.array(range(50)),
            "text": pa.array([f"text {number % 7}" if number % 5 else None for number in range(50)]),
            "real": pa.array([number / 7 for number in range(50)]),
            "flag": pa.array([number % 3 == 0 for number in range(50)]),
            "time": pa.array(range(50), pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal(number) / 100 for number in range(50)], pa.decimal128(9, 2)),
            "bytes": pa.array([bytes([number]) for number in range(50)]),
            "kind": pa.array(["a", "b"] * 25).dictionary_encode(),
            "list": pa.array([[number, None] for number in range(50)]),
            "deep": pa.array([{"x": number, "y": [str(number)]} for number in range(50)]),
        }
    )
    for number, options in enumerate(
        (
            {"compression": "snappy"},
            {"compression": "none", "use_dictionary": False},
            {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 7},
            {"compression": "gzip", "write_statistics": False},
            {"compression": "none", "version": "1.0", "store_schema": False},
            {
                "compression": "none",
                "use_dictionary": False,
                "column_encoding": {"id": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY"},
            },
        )
    ):
        pq.write_table(table, folder / f"{number}.parquet", **options)
    plain = table.select(["id", "text", "real", "flag"]).to_pandas()
    plain.to_csv(folder / "0.csv", index=False)
    plain.to_json(folder / "0.jsonl", orient="records", lines=True)
    for number, keys in enumerate(("PRIMARY KEY (id)", "UNIQUE (real), CHECK (id >= 0)")):
        with closing(sqlite3.connect(folder / f"{number}.db")) as connection, connection:
            connection.executescript(f"""
                CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
                CREATE TABLE t (id INTEGER NOT NULL, text TEXT, real REAL, blob BLOB, parent REFERENCES parents (id), {keys});
                CREATE TABLE plain (a, b); CREATE INDEX by_text ON t (text); CREATE VIEW v AS SELECT * FROM t;
                CREATE TABLE more (k TEXT PRIMARY KEY, v) {"WITHOUT ROWID" if number else ""};
            """)
            connection.executemany("INSERT INTO parents VALUES (?, ?)", [(one, f"p{one}") for one in range(5)])
            rows = [(one, f"text {one}" * 9, one / 3, bytes(one), one % 5) for one in range(60)]
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO plain VALUES (?, ?)", [(1, 2), (1, 2), (None, "x")])
            connection.executemany("INSERT INTO more VALUES (?, ?)", [("a", 1), ("b", None)])


def merge_files(folder: Path, base: Path, incoming: Path) -> str:
    """Merge one file into another one; return `right`, or how the result differs."""
    out = folder / "out"
    rules = Rules("merge", on_conflict="incoming" if base.suffix == ".db" else "fail")
    if base.suffix == ".db":
        merge_databases(base, [incoming], out, rules)
    else:
        merge_data([base], [incoming], out, rules, "data")
    if incoming.suffix not in (".db", ".parquet"):
        return "right"  # what it says is what was merged
    try:
        return compared(base, incoming, out)
    except (OSError, ValueError, NotImplementedError, sqlite3.Error):
        return "right"  # nobody else reads it


def compared(base: Path, incoming: Path, out: Path) -> str:
    if base.suffix == ".db":
        with closing(sqlite3.connect(f"file:{incoming}?mode=ro&immutable=1", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return "right"
        found, sent = sqlite_rows(out), sqlite_rows(incoming)
        lost = {name: len(rows - found.get(name, Counter())) for name, rows in sent.items()}
        return f"differs: rows of {lost} lost" if any(lost.values()) else "right"
    expected = {"rows": parquet_rows([base])["rows"] | parquet_rows([incoming])["rows"]}
    problem = difference(expected, parquet_rows([out]))
    return f"differs: {problem}" if problem else "right"


def attempt(work: Callable[[], str]) -> str:
    """Do work that may be refused, as a command does; return the outcome."""
    try:
        return work()
    except LineageError as error:
        is_clear = (
            not error.problem.strip().endswith(":")
            and "Traceback" not in error.problem
            and "INTERNAL" not in error.problem
        )
        return "refused" if is_clear else f"message: {error.problem}"


def try_merge(seeds: Path, folder: Path, kind: str, chance: random.Random) -> str:
    """Merge a damaged file into a whole one, or a whole one into a damaged one."""
    ending = {"parquet": ".parquet", "sqlite": ".db"}.get(kind) or chance.choice(
        (".csv", ".jsonl") if kind == "text" else (".parquet", ".db")
    )
    seed = chance.choice(sorted(seeds.glob(f"*{ending}")))
    base = folder / ("base.db" if ending == ".db" else "base.parquet")
    incoming = folder / f"new{ending}"
    shutil.copyfile(seeds / f"0{base.suffix}", base)
    incoming.write_bytes(damaged(seed.read_bytes(), chance))
    if kind == "base":
        shutil.copyfile(incoming, base)
        shutil.copyfile(seed, incoming)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    how, told = in_a_fork(lambda: attempt(lambda: merge_files(folder, base, incoming)), seconds=120)
    outcome = str(told) if how == "done" else f"{how}: {told}"
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "out"}
    if {name: after.get(name) for name in before} != before:
        return f"base: changed ({outcome})"
    if after.keys() - before.keys() and how == "done":  # SQLite's own, as its journal, goes with a process that lives
        return f"beside: {sorted(after.keys() - before.keys())} ({outcome})"
    return outcome


def try_params(folder: Path, chance: random.Random) -> str:
    template = (ROOT / "{{cookiecutter.project_slug}}/params.yaml").read_text("utf-8")
    content = re.sub("{{.*?}}", "words", template)
    file = folder / "params.yaml"
    if chance.random() < 0.3:
        file.write_bytes(damaged(content.encode(), chance))
    else:
        file.write_text(damaged_lines(content, chance), "utf-8")
    how, told = in_a_fork(lambda: attempt(lambda: "right" if read_params(file) else ""), seconds=120)
    return str(told) if how == "done" else f"{how}: {told}"


def bake(folder: Path) -> Path:
    """A project, merged once."""
    home = {**os.environ, "HOME": str(folder)}
    options = [f"shared_cache_dir={folder}/cache", f"dvc_remote_url={folder}/remote"]
    words = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--output-dir", str(folder), *options]
    subprocess.run(words, env=home, check=True, capture_output=True)
    project = next(path for path in folder.iterdir() if (path / "params.yaml").exists())
    subprocess.run([sys.executable, "scripts/merge_data.py"], cwd=project, env=home, check=True, capture_output=True)
    return project


def try_command(original: Path, folder: Path, chance: random.Random) -> str:
    """Run a command of a project under a random Git configuration and umask."""
    project = folder / "project"
    shutil.copytree(original, project, symlinks=True)
    (folder / "ignore").write_text(chance.choice(IGNORED), encoding="utf-8")
    lines = []
    for name in chance.sample(sorted(GIT_OPTIONS), chance.randrange(1, 5)):
        section, key = name.split(".")
        lines.append(f"[{section}]\n\t{key} = {chance.choice(GIT_OPTIONS[name]).format(ignore=folder / 'ignore')}\n")
    config = folder / "gitconfig"
    config.write_text("".join(lines), encoding="utf-8")
    environment = {**os.environ, "HOME": str(folder), "GIT_CONFIG_GLOBAL": str(config)}
    command = chance.choice(COMMANDS)
    mask = chance.choice((0o022, 0o077, 0o002))
    before = (project / "data/train.parquet").read_bytes()
    shutil.copyfile(original / "examples/batches/batch_002.parquet", project / "data/incoming/new.parquet")
    try:
        done = subprocess.run(
            [sys.executable, *f"scripts/{command}".split()],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            umask=mask,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"hang: {command} under {lines}"
    said = done.stdout + done.stderr
    if "Traceback" in said or done.returncode not in (0, 1, 2):
        return f"traceback: {command} ends with {done.returncode} under {lines}, umask {mask:o}: {said[-1500:]}"
    if command != "merge_data.py" and (project / "data/train.parquet").read_bytes() != before:
        return f"base: {command} under {lines}"
    left = [path.name for path in (project / "data").iterdir() if path.name.endswith(".tmp")]
    if left:
        return f"beside: {left} after {command} under {lines}"
    return "refused" if done.returncode else "right"


def one_try(kind: str, seeds: Path, project: Path | None, number: int, seed: int) -> tuple[str, Path]:
    """Try one input; return the outcome and the folder with what was tried."""
    chance = random.Random(f"{seed} {number} {kind}")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    if kind == "params":
        return try_params(folder, chance), folder
    if kind == "git":
        assert project
        return try_command(project, folder, chance), folder
    return try_merge(seeds, folder, kind, chance), folder


def main() -> int:
    import adbc_driver_sqlite  # noqa: F401 — loaded once, and not in every fork
    import duckdb  # noqa: F401
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument(
        "--keep", type=Path, default=ROOT / "build/fuzz", help="Where inputs are kept that are to be looked at."
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        counted = try_until(time.monotonic() + chosen.minutes * 60, Path(name), chosen)
    print(f"{counted.total()} tries with seed {chosen.seed} in {chosen.minutes:g} minutes")
    for kind in chosen.kinds:
        outcomes = sorted((outcome, count) for (of, outcome), count in counted.items() if of == kind)
        print(f"{kind}\t" + ", ".join(f"{outcome} {count}" for outcome, count in outcomes))
    return int(any(outcome in OURS for _, outcome in counted))


def try_until(end: float, folder: Path, chosen: argparse.Namespace) -> Counter[tuple[str, str]]:
    """Try one input after another; count the outcomes of each kind."""
    seeds = folder / "seeds"
    make_seeds(seeds)
    project = bake(folder) if "git" in chosen.kinds else None
    cheap = [kind for kind in chosen.kinds if kind != "git"]
    counted: Counter[tuple[str, str]] = Counter()
    while time.monotonic() < end:
        number = counted.total() + 1
        is_command = project and (number % COMMANDS_EVERY == 1 or not cheap)
        kind = "git" if is_command else cheap[number % len(cheap)]
        told, tried = one_try(kind, seeds, project, number, chosen.seed)
        outcome = told.partition(":")[0]
        counted[kind, outcome] += 1
        if outcome not in ("right", "refused"):
            kept = chosen.keep / f"{outcome}-{kind}-{chosen.seed}-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(tried, kept, symlinks=True, ignore=shutil.ignore_patterns("project"))
            (kept / "told.txt").write_text(told, encoding="utf-8", errors="replace")
            print(f"{kept.name}: {told.splitlines()[0][:300]}", flush=True)
        shutil.rmtree(tried, ignore_errors=True)
    return counted


if __name__ == "__main__":
    sys.exit(main())
