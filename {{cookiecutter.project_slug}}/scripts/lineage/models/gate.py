"""The gate: the rules by which a new model replaces the one in production.

A run challenges the model in production under the same test data, and replaces it when it is
better by at least `promote.min_improvement`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lineage.core import paths
from lineage.core.errors import Refused
from lineage.core.experiment_file import load_experiment
from lineage.core.params import Promote
from lineage.models.model_card import (
    MODEL,
    ModelCard,
    read_card,
)
from lineage.models.run_model import Models
from lineage.results.leaderboard import Row, measured
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_md5


@dataclass(frozen=True)
class Decision:
    """What is to happen to production.

    Attributes:
        run: the run whose model is put there; None: nothing changes.
        why: the reason, as in “better: f1_score 0.9100 against 0.9000” or “RUN stays; it is the
            best of the newest runs”.
        chosen: a user chose the run, so the runs of the moment do not challenge it again.
    """

    run: Row | None
    why: str
    chosen: bool = False

    def line(self) -> str:
        """Say what was decided."""
        if self.run is None:
            return f"production: {self.why}"
        return f"production: {self.run['track_id']} ({self.run['version']}) promoted — {self.why}"


def remarks(models: Models, runs: list[Row]) -> Iterator[str]:
    """Say which runs do not take part, and for how many the best one stands.

    Args:
        models: of the project.
        runs: best first.
    """
    metric = models.promote.metric
    values = [measured(run[metric]) for run in runs]
    for run, value in zip(runs, values):
        if value is None:
            reason = f"its {metric} is {metric_text(run[metric])}, no number to compare"
            yield f"run {run['track_id']} does not take part: {reason}"
    best = values[0] if values else None
    tied = values.count(best)
    if best is not None and tied > 1:
        first = runs[0]["track_id"]
        yield f"{tied} runs tie at {metric} {best:.4f}; the earliest, {first}, stands for them"


def decide(models: Models, runs: list[Row], strategy: str | None) -> Decision:
    """Let the best of the runs challenge the model in production.

    Args:
        models: of the project.
        runs: best first; only their first one is looked at.
        strategy: `promote.strategy`; None: asked for by hand, which no earlier decision stands
            against.

    Raises:
        Refused: there is no first model, or the one in production cannot be measured.
    """
    metric = models.promote.metric
    incumbent = read_card(models.root)
    if not runs or measured(runs[0][metric]) is None:
        if incumbent is None:
            problem = f"no run with a model has a value of {metric}"
            raise Refused(f"{problem}, so there is no first model for production")
        reason = f"no new run has a model and a value of {metric}"
        return Decision(None, f"{incumbent.track_id} stays; {reason}")
    challenger = runs[0]
    if incumbent is None:
        reason = f"first model of the project, {metric}={challenger[metric]:.4f}"
        return Decision(challenger, reason)
    why_not = objection(models, incumbent, challenger, strategy)
    if why_not:
        return Decision(None, f"{incumbent.track_id} stays{why_not}")
    return compare(models, incumbent, challenger)


def objection(models: Models, incumbent: ModelCard, challenger: Row, strategy: str | None) -> str:
    """Say why a run does not challenge the model in production; an empty text when it does."""
    if challenger["track_id"] == incumbent.track_id:
        return "; it is the best of the newest runs"
    if strategy == "merge":
        return " (promote.strategy: merge keeps new models as candidates only)"
    trained = recorded_md5(models.root, paths.TRAINED_MODELS)
    if strategy and trained and trained == incumbent.chosen_over:
        return "; it was chosen by hand when these runs were there already"
    return ""


def compare(models: Models, incumbent: ModelCard, challenger: Row) -> Decision:
    """Promote the challenger if it beats the model in production."""
    value = challenger[models.promote.metric]
    old = measure_incumbent(models, incumbent, challenger)
    comparison = f"{models.promote.metric} {value:.4f} against {metric_text(old)}"
    if old is None or beats(value, old, models.promote):
        return Decision(challenger, f"better: {comparison}")
    least = models.promote.min_improvement
    need = f" by at least {least}" if least else ""
    tie = " (a tie)" if value == old else ""
    beaten = f"{challenger['track_id']} does not beat it{need}"
    return Decision(None, f"{incumbent.track_id} stays; {beaten}: {comparison}{tie}")


def beats(value: float, old: float, promote: Promote) -> bool:
    """Tell whether a value is better, by at least `min_improvement`; a tie is not."""
    gain = value - old if promote.mode == "max" else old - value
    least = promote.min_improvement
    return gain > 0 and (gain >= least or math.isclose(gain, least))


def measure_incumbent(models: Models, incumbent: ModelCard, challenger: Row) -> float | None:
    """Give the incumbent's metric on the challenger's test data.

    It is evaluated again when its own test data were others.

    Raises:
        Refused: the challenger was not measured on the present test data, or `experiment.py`
            cannot evaluate the incumbent.
    """
    metric = models.promote.metric
    test_hash = challenger["test_hash"]
    if test_hash is not None and test_hash == incumbent.test_hash and metric in incumbent.metrics:
        return measured(incumbent.metrics[metric])
    test = models.root / paths.TEST_DATA
    if file_md5(test) != test_hash:
        problem = f"run {challenger['track_id']} was measured on other test data than"
        raise Refused(f"{problem} {paths.TEST_DATA}", "dvc repro")
    experiment = load_experiment(models.root)
    try:
        model = experiment.load_model(models.root / paths.PRODUCTION / MODEL)
        metrics, _ = experiment.evaluate(model, experiment.load_data(test))
        return measured(float(metrics.get(metric, math.nan)))
    except Exception as error:
        problem = "the model in production cannot be measured on the new test data"
        remedy = (
            "set promote.strategy: merge to keep it, or read"
            " “Your own task in a project that has run already” in docs/use-cases.md"
        )
        raise Refused(f"{problem}: {type(error).__name__}: {error}", remedy) from error


def metric_text(value: Any) -> str:
    """Write a metric of a row or a card, which may be anything: `0.9100`, `NULL`, `'n/a'`."""
    if value is None:
        return "NULL"
    return f"{value:.4f}" if isinstance(value, float) else repr(value)
