"""Every remedy is typed in the state in which it is printed.

`STATES` holds ways into an error; its remedy is typed as it is printed, and then the command works. A remedy that has no
row there stands, word by word, in another test, which types it or shows why nothing can be typed: `in_words` names the
few that stand in none.
"""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import SOURCE, TEMPLATE, Project, copy_project

SCRIPTS = SOURCE / "scripts"
ERRORS = {"BadInput": 1, "Refused": 1, "failed": 2, "skipped": 2}
"""What makes a message, and which of its arguments is the remedy."""

WORDS_FOR_NOW = {
    "extras/access/functions.py": ['git tag'],
    "extras/worktrees/collect.py": ['mend what the lines above name, in', '&& dvc repro && git commit --all', '&& git commit --all -m "…"'],
    "extras/worktrees/finish.py": ['do what each ✗ says; --collect does remote, runs, model, data', 'git branch -D', 'dvc remote add --default …'],
    "extras/git_merge/outputs.py": ['delete or rename it on one side'],
    "extras/worktrees/start.py": ['git add --all && git commit -m "Start"', '&& dvc checkout --allow-missing', 'git branch -m … -old'],
    "core/experiment_file.py": ['define … ; see docs/experiment.md'],
    "extras/merge_artifacts/merges.py": ['merge the others in by --exp-db'],
    "merge/column_types.py": ['create the table anew with'],
    "extras/sqlite_features/beyond_tables.py": ['rebase by a key that keeps these rows, or: --strategy merge'],
    "merge/databases.py": ['ls -ld . && df -h .', 'correct the incoming file', 'sqlite3 … .dump | sqlite3 … && mv'],
    "merge/plan.py": ['correct the incoming file, or choose which wins (on_conflict, or --on-conflict: base, incoming or newest), or rebase'],
    "merge/relations.py": ['choose base or incoming'],
    "merge/rules.py": ['choose base or incoming'],
    "extras/git_merge/three_way_files.py": ['give it another type, or take one side whole'],
    "extras/show/models.py": ['choose another --output'],
    "results/where.py": ["write it as in --where model_C=1.0 --where 'f1_score>=0.9'"],
    "runs/active_run.py": ['give a name as in figures/roc.png'],
    "runs/model_file.py": ["use letters, digits, '.', '_' and '-'", 'give the file or folder itself'],
    "runs/predictions_file.py": ['rename it'],
    "runs/run_database.py": ['rename it', 'rename one of them'],
    "setup/project.py": ['pre-commit install'],
    "extras/formats/as_sqlite.py": ['-- in DuckDB'],
    "extras/arrow_types/exact_copy.py": ['split the column in two', 'write the file anew'],
    "tables/parquet_files.py": ['rename one of them in the file'],
    "extras/merge_artifacts/backup_tag.py": ['leave --backup-tag out', 'choose another name'],
    "tracked/guarded_output.py": ['wait for it, or end that process; then try again'],
    "extras/retrieve/checkout.py": ['save them, or cleanup --force'],
    "extras/retrieve/get.py": ['give a path that does not exist yet', 'give another --output, or --force to replace it', 'give another --output', 'give it as in models/production/model.bin'],
    "versions/new_tag.py": ['dvc repro --force --single-item train && dvc repro'],
    "versions/push.py": ['python scripts/version_tag.py --renumber --description'],
}  # fmt: skip
"""By file: remedies that stand in no test. One that is typed is taken out; none may be added."""


def remedies(path: Path) -> Iterator[list[str]]:
    """Yield, for each message of a file with a remedy that stands there as text, the pieces of that text."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        place = ERRORS.get(getattr(call.func, "id", ""), 9) if isinstance(call, ast.Call) else 9
        if not isinstance(call, ast.Call) or len(call.args) <= place:
            continue
        given = call.args[place]
        parts = given.values if isinstance(given, ast.JoinedStr) else [given]
        texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        pieces = [text.partition("   #")[0].strip() for text in texts]
        if pieces := [piece for piece in pieces if len(piece) > 3]:
            yield pieces


def test_every_remedy_stands_in_a_test() -> None:
    tests = [path for path in (TEMPLATE / "tests").rglob("*.py") if path != Path(__file__)]
    mine = Path(__file__).read_text(encoding="utf-8").replace(repr(WORDS_FOR_NOW), "").partition("\nSTATES")[2]
    said = "\n".join([*(path.read_text(encoding="utf-8") for path in tests), mine])
    found: dict[str, set[str]] = {}
    for path in sorted(SCRIPTS.rglob("*.py")):
        name = path.relative_to(SCRIPTS).as_posix().removeprefix("lineage/")
        for pieces in remedies(path):
            if not all(piece in said for piece in pieces):
                found.setdefault(name, set()).add(" … ".join(pieces))
    known = {name: set(words) for name, words in WORDS_FOR_NOW.items()}
    for name in found.keys() | known.keys():
        new, gone = found.get(name, set()) - known.get(name, set()), known.get(name, set()) - found.get(name, set())
        assert not new, f"{name}: no test has typed {new}: add a way into that error to STATES"
        assert not gone, f"{name}: take {gone} out of WORDS_FOR_NOW: a test has it now, or the code no longer does"


def no_remote(project: Project) -> None:
    project.run("dvc", "remote", "remove", "storage")


def no_runs(project: Project) -> None:
    for path in (project.path / "results/runs").iterdir():
        path.unlink()


def odd_remote(project: Project) -> None:
    project.run("dvc", "remote", "add", "--default", "--local", "odd", "gs://bucket/x")


def reserved_column(project: Project) -> None:
    table(project.path / "e.db", 'CREATE TABLE t (id TEXT PRIMARY KEY, "lineage row" INT)')


def another_batch(project: Project) -> None:
    project.drop_batch(2)


def plain_table(project: Project) -> None:
    table(project.path / "e.db", "CREATE TABLE t (id TEXT PRIMARY KEY)")


def table(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def nothing(project: Project) -> None:
    pass


MERGE = "python scripts/merge_artifacts.py --exp-db e.db --output-db o.db --strategy"
STATES: dict[str, tuple[Callable[[Project], None], str, str, str | None]] = {
    "neither all nor some versions": (nothing, "python scripts/experiment_explorer.py verify", "python scripts/experiment_explorer.py verify --all", None),
    "no option": (nothing, "python scripts/version_tag.py", "python scripts/version_tag.py --help", None),
    "no output": (nothing, "python scripts/merge_artifacts.py", "python scripts/merge_artifacts.py --help", None),
    "no source": (nothing, "python scripts/merge_artifacts.py --strategy merge --output-db o.db", "python scripts/merge_artifacts.py --help", None),
    "elsewhere": (nothing, "cd / && python $PROJECT/scripts/version_tag.py --list", "cd $PROJECT", "python scripts/version_tag.py --list"),
    "neither run nor version": (nothing, "python scripts/model_manager.py download --output m.bin", "python scripts/model_manager.py list", None),
    "no runs": (no_runs, "python scripts/merge_results.py", "dvc checkout results/runs", "python scripts/merge_results.py"),
    "memory that is no size": (another_batch, "LINEAGE_MEMORY_LIMIT=much python scripts/merge_data.py", "export LINEAGE_MEMORY_LIMIT=4GB", "python scripts/merge_data.py"),
    "a column with a name of ours": (reserved_column, f"{MERGE} merge", "sqlite3 e.db 'ALTER TABLE \"t\" RENAME COLUMN \"lineage row\" TO \"lineage row_\"'", f"{MERGE} merge"),
    "a key that no table has": (plain_table, f"{MERGE} rebase --key-columns x --yes", "sqlite3 e.db .schema", f"{MERGE} rebase --key-columns id --yes"),
    "a remote whose package is not here": (odd_remote, "python scripts/version_tag.py --version e0.1.0 --push", "dvc remote list", None),
    "no remote to send to": (no_remote, "python scripts/doctor.py --send", "dvc remote add --default storage URL", None),
}  # fmt: skip
"""By what is wrong: how one gets there, the command that fails, the remedy that it prints ($PROJECT, URL are places), and
the command that works then, if the remedy is not that itself."""


@pytest.mark.parametrize("state", STATES)
def test_a_remedy_is_typed_as_it_is_printed_and_then_the_command_works(
    state: str, tagged_original: Project, tmp_path: Path
) -> None:
    project = copy_project(tagged_original, tmp_path)
    get_there, command, remedy, then = STATES[state]
    get_there(project)
    if then is None and "verify" in remedy:
        project.dvc("push")
    project.environment["PROJECT"] = str(project.path)
    done = subprocess.run(
        command, shell=True, cwd=project.path, env=project.environment, capture_output=True, text=True
    )
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr, done.stderr
    printed = re.findall(r"→ (.*?)(?:   #.*)?$", done.stderr, re.M)
    assert printed == [remedy.replace("$PROJECT", str(project.path))]
    typed = printed[0].replace("URL", str(tmp_path / "another-remote"))
    folder = Path("/") if command.startswith("cd /") else project.path
    project.run("bash", "-euo", "pipefail", "-c", f"{typed}\n{then or ''}", cwd=folder)
