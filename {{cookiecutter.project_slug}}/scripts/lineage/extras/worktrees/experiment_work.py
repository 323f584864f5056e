"""What an experiment has committed, and what of it main lacks."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import BadInput
from lineage.core.params import read_params
from lineage.extras.retrieve.files_at_commit import hashes_by_name
from lineage.extras.worktrees.start import Experiment
from lineage.merge.run_ids import run_ids
from lineage.results.leaderboard import Row, best_runs, metric_names
from lineage.results.version_results import files_of
from lineage.tables.sources import Sources, read_sources
from lineage.tracked.git import git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import obtain

Outputs = dict[str, str]
"""Path to hash of everything that a commit records."""


@dataclass(frozen=True)
class ExperimentWork:
    """What an experiment has committed, beside the last commit it shares with main and main's own.

    Attributes:
        main: the main working tree.
        head: the experiment's last commit.
        base: the outputs of the last commit that it shares with main.
        ours: the outputs of main's last commit.
        theirs: the outputs of the experiment's last commit.
    """

    main: Path
    head: str
    base: Outputs
    ours: Outputs
    theirs: Outputs

    @cached_property
    def runs(self) -> set[str]:
        """The runs of its own, by `track_id`."""
        return self._runs(self.theirs) - self._runs(self.base)

    @cached_property
    def missing_runs(self) -> set[str]:
        """Those of its runs that main's database lacks."""
        return self.runs - self._runs(self.ours)

    @cached_property
    def has_corrections(self) -> bool:
        """Whether it changed rows of main's runs otherwise than main did, and brings no run.

        What somebody has merged by hand, to choose one of two values, counts as brought.
        """
        from lineage.extras.git_merge.outputs import Hashes, merge_results

        base = self.base.get(paths.DATABASE, "")
        ours = self.ours.get(paths.DATABASE, "")
        theirs = self.theirs.get(paths.DATABASE, "")
        if self.missing_runs or theirs in ("", base, ours):
            return False
        if theirs in read_sources(obtain(self.main, ours)):
            return False
        conflicts: list[Any] = []
        merged = merge_results(self.main, Hashes(base, ours, theirs, may_drop=False), conflicts)
        return bool(conflicts) or merged != ours

    @cached_property
    def missing_batches(self) -> dict[str, str]:
        """Name to hash of new batches in `data/incoming` that main lacks."""
        batches = files_of(self.main, self.theirs, paths.INCOMING_DATA)
        known = set(files_of(self.main, self.base, paths.INCOMING_DATA).values())
        known.update(files_of(self.main, self.ours, paths.INCOMING_DATA).values())
        return {name: md5 for name, md5 in batches.items() if md5 not in known}

    @cached_property
    def merged_by_hand(self) -> list[str]:
        """Names of files in no inbox that it merged into the training data, and main did not."""
        known = self._merged_data(self.base) | self._merged_data(self.ours)
        inbox = files_of(self.main, self.theirs, paths.INCOMING_DATA).values()
        names = []
        for md5, source in self._merged_data(self.theirs).items():
            if md5 not in known and md5 not in inbox:
                names.append(source.name)
        return names

    @cached_property
    def best(self) -> Row | None:
        """The row of its best run by main's `promote.metric`, unless main has that model.

        None, too, when no run has a value of the metric, or the model was not kept.
        """
        if not self.runs:
            return None
        promote = read_params(self.main / paths.PARAMS).promote
        metric = promote.metric
        database = obtain(self.main, self.theirs[paths.DATABASE])
        if metric not in metric_names(database):
            return None
        best, *_ = best_runs(database, metric, promote.mode, track_ids=list(self.runs))
        production = files_of(self.main, self.ours, paths.PRODUCTION)
        models = production | files_of(self.main, self.ours, paths.CANDIDATES)
        kept = (None, "", *hashes_by_name(models).values())
        return None if best[metric] is None or best["model_hash"] in kept else best

    def _runs(self, outputs: Outputs) -> set[str]:
        if paths.DATABASE not in outputs:
            return set()
        database = obtain(self.main, outputs[paths.DATABASE])
        return run_ids(database)

    def _merged_data(self, outputs: Outputs) -> Sources:
        """Read what was merged into the training data; of parts, the last has that record."""
        if paths.TRAIN_DATA not in outputs:
            return {}
        *_, last = sorted(files_of(self.main, outputs, paths.TRAIN_DATA).items())
        return read_sources(obtain(self.main, last[1]))


def compare_with_main(experiment: Experiment) -> ExperimentWork:
    """Find what is committed: in the experiment, where it left main, and in main.

    Raises:
        BadInput: there is no such experiment.

    """
    main = experiment.main
    head = experiment.commit(f"refs/heads/{experiment.branch}")
    if head is None:
        names = git(main, "for-each-ref --format=%(refname:lstrip=3) refs/heads/exp/") or "none"
        problem = f"there is no experiment {experiment.name} (branch {experiment.branch})"
        raise BadInput(f"{problem}; there are: {', '.join(names.split())}")
    began = git(main, f"merge-base HEAD {head}")
    return ExperimentWork(
        main=main,
        head=head,
        base=recorded_outputs(main, began) if began else {},
        ours=recorded_outputs(main, "HEAD"),
        theirs=recorded_outputs(main, head),
    )
