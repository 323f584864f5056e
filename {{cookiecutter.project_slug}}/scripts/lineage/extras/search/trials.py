"""Draw the runs of a search by Optuna, one by one, and tell it how they ended."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
import optuna
from optuna.trial import TrialState

from lineage.core.code_hash import hash_json
from lineage.core.console import warn
from lineage.core.params import Params
from lineage.core.paths import UNFINISHED_RUNS
from lineage.extras.search.space import Values, find_drawn, read_space, samples, to_point
from lineage.runs.run import Run, choice_metric
from lineage.runs.run_plan import Plan
from lineage.runs.unfinished_runs import present_files
from lineage.tables.sqlite_reading import open_read_only
from lineage.tracked.whole_file import write_text

SAMPLERS: dict[str, Any] = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
}


class Search(Plan):
    """The plan of a search: the runs of the sweep, if there is one, and then the trials.

    What trials have drawn is kept beside the unfinished runs. A search that was stopped draws the
    same again, tells the study of the runs that are done, and has the others done.
    """

    def __init__(self, root: Path, params: Params, validation: Any = None) -> None:
        """Work out the runs that are known before the search begins.

        Raises:
            BadInput: as in `Plan`, or no trial can draw from the space.
        """
        self.search = params.sweep.search
        self.space = self.search.space
        self.distributions = read_space(self.space)
        super().__init__(root, params, validation, samples(self.space))
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        direction: Any = f"{params.promote.mode}imize"
        self.study = optuna.create_study(direction=direction)

    def missing(self) -> Iterator[Run]:
        """Draw again what was drawn before, and yield the runs to do.

        A trial is drawn when it is asked for, by how runs have ended until then. Runs of the sweep
        that lie in the space count as trials that were drawn before all others.
        """
        listed = list(self.runs.values())
        found = [find_drawn(self.space, run.point) for run in listed]
        known = list(filter(None, found))
        number = len(known) + self.search.trials
        journal = self.root / UNFINISHED_RUNS / f"search-{self._identity()}.json"
        if journal.exists():
            known = json.loads(journal.read_text(encoding="utf-8"))[:number]
        for drawn in known:
            self.study.enqueue_trial(drawn)
            self.add(to_point(self.space, drawn))
        trials = self._draw(number, known, journal)
        return _once(chain(listed, trials), self.done)

    def _identity(self) -> str:
        """Hash what the trials depend on, except for how many they are."""
        settings = self.search.model_dump(exclude={"trials"})
        promote = self.params.promote
        points = [run.point for run in self.runs.values()]
        decisive = [self.params.model, points, settings, promote.metric, promote.mode]
        return hash_json(self.conditions + decisive)

    def _draw(self, number: int, drawn: list[Values], journal: Path) -> Iterator[Run]:
        """Draw trials. Each has a seed of its own: what it draws depends on those before it only.

        Args:
            number: how many trials there are.
            drawn: what the first of them draw; the others are added.
            journal: where all that was drawn is kept.
        """
        waiting: dict[int, str] = {}  # run_hash by number of trial
        for trial in range(number):
            self._tell(waiting)
            seeds = numpy.random.SeedSequence([self.search.seed, trial])
            seed = int(seeds.generate_state(1)[0])
            self.study.sampler = SAMPLERS[self.search.sampler](seed=seed)
            values = self.study.ask(self.distributions).params
            if trial >= len(drawn):
                drawn.append(values)
                write_text(journal, json.dumps(drawn))
            run = self.add(to_point(self.space, values))
            waiting[trial] = str(run.facts.run_hash)
            yield run
        if len(self.runs) < self.total:
            different = f"the {self.total} runs of this search are {len(self.runs)} different ones"
            warn(f"{different}; equal ones are done once")

    def _tell(self, waiting: dict[int, str]) -> None:
        """Tell the study which trials have ended; those without the metric have failed."""
        ended = {outcome.run.facts.run_hash: outcome.metrics for outcome in self.outcomes}
        for trial, run_hash in list(waiting.items()):
            if run_hash in self.done:
                ended[run_hash] = self._recorded_row(run_hash)
            if run_hash in ended:
                metrics = ended[run_hash]
                value = metrics.get(choice_metric(metrics, self.params.promote.metric))
                state = TrialState.FAIL if value is None else TrialState.COMPLETE
                self.study.tell(trial, value, state)
                del waiting[trial]

    def _recorded_row(self, run_hash: str) -> dict[str, Any]:
        """Read the row of a run that is done, metrics and all."""
        files = present_files(self.root, run_hash, self.runs[run_hash].track_id)
        with open_read_only(files.database) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM metrics").fetchone())


def _once(runs: Iterable[Run], done: set[str]) -> Iterator[Run]:
    """Pass on the runs that are neither done nor equal to one before them."""
    begun = set(done)
    for run in runs:
        run_hash = str(run.facts.run_hash)
        if run_hash not in begun:
            begun.add(run_hash)
            yield run
