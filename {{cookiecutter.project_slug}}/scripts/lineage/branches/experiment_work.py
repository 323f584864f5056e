"""What an experiment has committed, and what of it main lacks."""

from dataclasses import dataclass
from pathlib import Path

from lineage.branches.merge_outputs import run_ids
from lineage.branches.start import Experiment
from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.core.params import read_params
from lineage.results.leaderboard import Row, best_runs, metric_names
from lineage.tracked.git import git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing, obtain

Outputs = dict[str, str]
"""Path to hash of everything that a commit records."""


@dataclass(frozen=True)
class ExperimentWork:
    """What an experiment has committed, compared with the commit it began from and with main's last one.

    Attributes:
        head: its last commit.
        base: the outputs of the commit it began from.
        ours: the outputs of main's last commit.
        theirs: the outputs of the experiment's last commit.
        runs: the runs of its own, by `track_id`.
        missing_runs: those of them that main's database lacks.
        best: row of its best run by main's `promote.metric`; None when main has that model.
        missing_batches: name to hash of new batches in `data/incoming` that main lacks.
    """

    head: str
    base: Outputs
    ours: Outputs
    theirs: Outputs
    runs: set[str]
    missing_runs: set[str]
    best: Row | None
    missing_batches: dict[str, str]


def compare_with_main(experiment: Experiment) -> ExperimentWork:
    """Compare what is committed in the experiment with where it began, and with main.

    Raises:
        BadInput: there is no such experiment.
        Refused: an object of its records is nowhere.

    """
    main = experiment.main
    head = experiment.commit(f"refs/heads/{experiment.branch}")
    if head is None:
        names = git(main, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/exp/")
        known = ", ".join((names or "none").split())
        problem = f"there is no experiment {experiment.name} (branch {experiment.branch})"
        raise BadInput(f"{problem}; there are: {known}")
    began = experiment.commit(experiment.base) or git(main, "merge-base", "HEAD", head)
    base = recorded_outputs(main, began) if began else {}
    ours = recorded_outputs(main, "HEAD")
    theirs = recorded_outputs(main, head)
    runs = _runs_of(main, theirs) - _runs_of(main, base)
    batches = _files_of(main, theirs, paths.INCOMING_DATA)
    for known in (base, ours):
        known_batches = _files_of(main, known, paths.INCOMING_DATA).values()
        batches = {name: md5 for name, md5 in batches.items() if md5 not in known_batches}
    return ExperimentWork(
        head=head,
        base=base,
        ours=ours,
        theirs=theirs,
        runs=runs,
        missing_runs=runs - _runs_of(main, ours),
        best=_best_that_lacks(main, ours, theirs, runs),
        missing_batches=batches,
    )


def _runs_of(main: Path, outputs: Outputs) -> set[str]:
    recorded = outputs.get(paths.DATABASE)
    return run_ids(obtain(main, recorded)) if recorded else set()


def _files_of(main: Path, outputs: Outputs, folder: str) -> dict[str, str]:
    """Name to hash of the files of a recorded folder; none when it is not recorded."""
    return listing(main, outputs[folder]) if folder in outputs else {}


def _best_that_lacks(main: Path, ours: Outputs, theirs: Outputs, runs: set[str]) -> Row | None:
    """The row of the best of some runs, unless main has its model, or it was not kept."""
    if not runs:
        return None
    promote = read_params(main / paths.PARAMS).promote
    database = obtain(main, theirs[paths.DATABASE])
    if promote.metric not in metric_names(database):
        return None
    [row] = best_runs(database, promote.metric, promote.mode, track_ids=list(runs), limit=1)
    known = [None, ""]
    for folder in (paths.PRODUCTION, paths.CANDIDATES):
        known += _files_of(main, ours, folder).values()
    has_value = row[promote.metric] is not None
    return row if has_value and row["model_hash"] not in known else None
