"""What an experiment in a worktree recorded since it began, and how it is brought home into the main working tree."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lineage.branches.start import Experiment
from lineage.core import paths
from lineage.core.console import Say
from lineage.core.errors import BadInput, Refused
from lineage.core.params import read_params
from lineage.merge.databases import merge_databases
from lineage.merge.rules import Rules
from lineage.results.leaderboard import best_runs, metric_names
from lineage.runs.model_file import model_name
from lineage.runs.run_database import METRICS
from lineage.tables.sql import quote
from lineage.tables.sqlite_files import describe_tables, open_read_only
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git, run
from lineage.tracked.guarded_output import locked
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import bring, listing, obtain, open_remote, send, with_files
from lineage.tracked.whole_file import write_text, write_whole

INCOMING = (paths.INCOMING_DATA, paths.INCOMING_RESULTS)
WRITTEN = (paths.PIPELINE_LOCK, paths.METRICS_FILE, *(f"{folder}.dvc" for folder in INCOMING))
"""Tracked files of main that collecting changes."""


@dataclass(frozen=True)
class Work:
    """What an experiment committed, and what of it main has not committed.

    Attributes:
        head: the experiment's last commit.
        outputs: path to hash of everything recorded there.
        database, ancestor: its results, and those it began with.
        runs: every run of its own; `missing_runs`: those that main's database lacks.
        best: row of its best run by main's `promote.metric`, unless main has that model.
        missing_batches: name to hash of new batches in `data/incoming` that main lacks.
    """

    head: str
    outputs: dict[str, str]
    database: Path | None
    ancestor: Path | None
    runs: set[str]
    missing_runs: set[str]
    best: dict[str, Any] | None
    missing_batches: dict[str, str]


def look_at(experiment: Experiment) -> Work:
    """Compare what is committed: in the experiment, where it began, and in main.

    Raises:
        BadInput: there is no such experiment.
        Refused: an object of its records is nowhere.
    """
    main = experiment.main
    if (
        head := git(main, "rev-parse", "--verify", "--quiet", f"refs/heads/{experiment.branch}")
    ) is None:
        names = git(main, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/exp/")
        known = ", ".join((names or "none").split())
        raise BadInput(
            f"there is no experiment {experiment.name} (branch {experiment.branch}); there are: {known}"
        )
    base = git(main, "rev-parse", "--verify", "--quiet", experiment.base) or git(
        main, "merge-base", "HEAD", head
    )
    then, here, outputs = (
        recorded_outputs(main, commit) if commit else {} for commit in (base, "HEAD", head)
    )
    ancestor, home, database = (_database(main, recorded) for recorded in (then, here, outputs))
    runs = run_ids(database) - run_ids(ancestor)
    models = {**files_of(main, here, paths.PRODUCTION), **files_of(main, here, paths.CANDIDATES)}
    best = _best(main, database, runs, set(models.values()))
    old, home_batches, batches = (
        files_of(main, recorded, paths.INCOMING_DATA) for recorded in (then, here, outputs)
    )
    new = {
        name: md5
        for name, md5 in batches.items()
        if md5 not in {*old.values(), *home_batches.values()}
    }
    return Work(head, outputs, database, ancestor, runs, runs - run_ids(home), best, new)


def _database(main: Path, recorded: dict[str, str]) -> Path | None:
    return obtain(main, recorded[paths.DATABASE]) if paths.DATABASE in recorded else None


def run_ids(database: Path | None) -> set[str]:
    """Every `track_id` of table `metrics`; none without a database."""
    if database is None:
        return set()
    with open_read_only(database) as connection:
        if METRICS not in describe_tables(connection):
            return set()
        return {row[0] for row in connection.execute(f"SELECT track_id FROM {METRICS}")}


def files_of(root: Path, outputs: dict[str, str], folder: str) -> dict[str, str]:
    """Name to hash of the files of a recorded folder; none when it is not recorded."""
    return listing(root, outputs[folder]) if folder in outputs else {}


def _best(
    main: Path, database: Path | None, runs: set[str], models: set[str]
) -> dict[str, Any] | None:
    """The row of the best of some runs, unless its model is among the known ones or was not kept."""
    promote = read_params(main / paths.PARAMS).promote
    if database is None or not runs or promote.metric not in metric_names(database):
        return None
    row = best_runs(database, promote.metric, promote.mode, track_ids=list(runs), limit=1)[0]
    return (
        row
        if row[promote.metric] is not None and row["model_hash"] not in {None, "", *models}
        else None
    )


def collect(experiment: Experiment, work: Work, *, with_data: bool, say: Say) -> None:
    """Send the experiment's objects, and bring its runs, best model and batches into main: `dvc repro` and a commit there.

    After a kill, the same again completes it. When `dvc repro` fails, main is as it was before.

    Raises:
        Refused: main has changes of its own; the remote does not answer; `dvc repro` or the commit fails.
    """
    main = experiment.main
    with locked(main, "the main working tree"):
        if (remote := open_remote(main)) is not None:
            say(
                f"sent {len(send(main, remote, with_files(main, work.outputs.values())))} objects to the remote"
            )
        batches = work.missing_batches if with_data else {}
        if not batches and not work.missing_runs and not work.best:
            return
        journal = main / ".dvc/tmp/lineage" / f"{experiment.folder.name}.collect"
        if journal.exists():  # a collecting was killed, and the changes are its own
            _undo(main, [])
        else:
            _refuse_changes(main)
        write_text(journal, work.head)
        copied = _bring(experiment, work, batches)
        if run_dvc(main, "repro", show=True).returncode != 0:
            _undo(main, copied)
            journal.unlink()
            remedy = f"mend what the lines above name, in ../{experiment.folder.name}; then collect again"
            raise Refused(
                "dvc repro fails in main with what the experiment brings; main is as it was", remedy
            )
        if work.best:  # under its own run id; the next promotion may prune it again
            target = main / paths.CANDIDATES / model_name(work.best["track_id"])
            if not target.exists():
                bring(main, work.best["model_hash"], target)
            run_dvc(main, "commit", "--force", "promote_model")
        _commit(
            main,
            f"Collect {experiment.branch}: {len(work.missing_runs)} runs, {len(batches)} batches",
        )
        journal.unlink()
    say(f"committed in {main}; next there: dvc push && git push")


def _refuse_changes(main: Path) -> None:
    if changed := git(main, "status", "--porcelain", "--untracked-files=no"):
        names = ", ".join(line[3:] for line in changed.splitlines()[:5])
        raise Refused(
            f"main has changes that are not committed: {names}",
            f'cd {main} && git commit --all -m "…"',
        )
    if run_dvc(main, "status", "--json").stdout.strip() != "{}":
        raise Refused(
            "main has changes that dvc repro has not seen",
            f"cd {main} && dvc repro && git commit --all",
        )


def _bring(experiment: Experiment, work: Work, batches: dict[str, str]) -> list[Path]:
    """Put batches and runs into main's incoming folders, beside what is there; return the files."""
    main, label = experiment.main, f"{experiment.folder.name}-{work.head[:8]}"
    copied = []
    for name, md5 in batches.items():
        target = main / paths.INCOMING_DATA / name
        if target.exists() and file_md5(target) != md5:  # another batch of that name
            target = target.with_name(f"{PurePosixPath(name).stem}-{label}{target.suffix}")
        bring(main, md5, target)
        copied.append(target)
    if work.missing_runs and work.database:
        target = main / paths.INCOMING_RESULTS / f"{label}.db"
        export_runs(work.database, work.ancestor, work.missing_runs, target)
        copied.append(target)
    return copied


def export_runs(database: Path, ancestor: Path | None, runs: set[str], target: Path) -> None:
    """Write a database with the rows of some runs only, so that no row of another run comes along as an old copy.

    Args:
        database: holds the runs.
        ancestor: what it began as; rows without a run that are in it are left out too.
        runs: their ids.
        target: the file to write, whole or not at all.
    """

    def build(temporary: Path) -> bool:
        rules = Rules("merge", ancestors={database: ancestor} if ancestor else {})
        merge_databases(None, [database], temporary, rules)
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            for name, table in describe_tables(connection).items():
                if "track_id" in table.column_names:
                    statement = f"DELETE FROM {quote(name)} WHERE track_id NOT IN (SELECT value FROM json_each(?))"
                    connection.execute(statement, (json.dumps(sorted(runs)),))
        return True

    write_whole(target, build)


def _undo(main: Path, copied: list[Path]) -> None:
    """Take the copies out and go back to what main's last commit records."""
    for file in copied:
        file.unlink(missing_ok=True)
    tracked = (git(main, "ls-tree", "--name-only", "HEAD", "--", *WRITTEN) or "").splitlines()
    git(main, "checkout", "HEAD", "--", *tracked)
    if outputs := [path for path in recorded_outputs(main, "HEAD") if path not in INCOMING]:
        run_dvc(main, "checkout", "--force", *outputs)


def _commit(main: Path, message: str) -> None:
    paths = [path for path in WRITTEN if (main / path).exists()]
    git(main, "add", "--", *paths)
    if not git(main, "status", "--porcelain", "--", *paths):
        return
    done = run(main, "git", "commit", "--quiet", "--no-verify", "-m", message, "--", *paths)
    if done.returncode != 0:
        raise Refused(
            f"git commit in main: {' '.join((done.stderr or done.stdout).split())}",
            "commit there yourself",
        )
