"""The gate: the rules by which a new model replaces the one in production.

Every new model challenges the one in production: that of a new run, and a candidate that was
brought home or merged. Of runs with a validation side, the test set judges only the one that is
best there. All are compared under the present test data and evaluation code. The best of them
replaces it when it is better by at least `promote.min_improvement`, and by more than
`promote.confidence` calls noise.
"""

import math
from dataclasses import dataclass
from typing import Any

from lineage.core.console import progress, say
from lineage.core.errors import Refused
from lineage.core.experiment_file import load_experiment
from lineage.models.measure import measured_now, predicted_now
from lineage.models.model_card import as_row, read_card
from lineage.models.noise import corrected, margin_of_error, share_of_right
from lineage.models.run_model import Models, missing_code
from lineage.results.leaderboard import Row, best_on_validation, how_chosen, measured

OTHER_WAYS = (
    "python scripts/model_manager.py promote --run-id {} && dvc repro   # replaces it\n"
    "  → sed -i '/^promote:/,$ s/strategy: rebase/strategy: merge/' params.yaml"
    " && dvc repro   # keeps it"
)
BY_HAND = "a better model replaces it (promote.pinned: true holds it)"
SCORE = "define score(predictions) in experiment.py, see docs/models.md"


@dataclass(frozen=True)
class Decision:
    """What is to happen to production.

    Attributes:
        run: the run whose model is put there; None: nothing changes.
        why: the reason, as in “better: f1_score 0.9100 against 0.9000 of RUN (e0.1.0)” or “RUN
            stays; promote.pinned holds it”.
        by_hand: a user chose the run.
        compared: the models that are there have been compared with the one that stays.
    """

    run: Row | None
    why: str
    by_hand: bool = False
    compared: bool = False


def decide(models: Models, runs: list[Row], strategy: str | None) -> Decision:
    """Let the best of the runs challenge the model in production.

    Args:
        models: of the project.
        runs: whose models may challenge, best first.
        strategy: `promote.strategy`; None: asked for by hand, and what has been compared with the
            model in production is compared again.

    Raises:
        Refused: there is no first model, or the one in production cannot be measured.
    """
    metric = models.promote.metric
    incumbent = read_card(models.root)
    if incumbent is None:
        return first_model(models, best_on_validation(runs, metric))
    own = incumbent["track_id"]
    if strategy == "merge":
        reason = "(promote.strategy: merge keeps new models as candidates only)"
        return Decision(None, f"{own} stays {reason}")
    if models.promote.pinned:
        return Decision(None, f"{own} stays; promote.pinned holds it")
    known = set[str]()
    if strategy and incumbent["compared_under"] == models.rules:
        known = {own, *incumbent["compared"]}
    new = [run for run in runs if run["track_id"] not in known]
    new = [run for run in best_on_validation(new, metric) if run["track_id"] != own]
    challengers = find_challengers(models, new)
    if not challengers:
        why = f"{own} stays; there is no new model with a value of {metric}"
        return Decision(None, why, compared=bool(new))
    if incumbent["by_hand"]:
        say(f"{own} was put there by hand: {BY_HAND}")
    return compare(models, as_row(incumbent), challengers)


def first_model(models: Models, runs: list[Row]) -> Decision:
    """Choose the first model of a project; raises `Refused` when there is none to choose."""
    metric = models.promote.metric
    challengers = find_challengers(models, runs)
    if not challengers:
        raise Refused(
            f"no run with a model has a value of {metric},"
            " so there is no first model for production"
        )
    first = challengers[0]
    value = f"{metric}={first[metric]:.4f}{how_chosen(first, metric)}"
    return Decision(first, f"first model of the project, {value}")


def find_challengers(models: Models, runs: list[Row]) -> list[Row]:
    """Compare runs under the present conditions, and say which do not take part.

    Args:
        models: of the project.
        runs: whose models take part, if their code is on this branch and they have a number to
            compare.

    Returns:
        rows with their present metrics, best first, of equal ones the earliest.
    """
    metric = models.promote.metric
    challengers = []
    for run in runs:
        try:
            if missing := missing_code(models.root, run):
                raise Refused(f"it {missing.problem}", missing.remedy)
            now = measured_now(models, run)
            if measured(now.get(metric)) is not None:
                challengers.append(now)
                continue
            reason = f"its {metric} is {metric_text(now.get(metric))}, no number to compare"
        except Refused as error:
            reason = str(error)
        say(f"run {run['track_id']} does not take part: {reason}")
    challengers.sort(
        key=lambda run: (models.gain(0, run[metric]), run["timestamp"], run["track_id"])
    )
    tied = [run["track_id"] for run in challengers if run[metric] == challengers[0][metric]]
    if len(tied) > 1:
        value = f"{metric} {challengers[0][metric]:.4f}"
        say(f"{len(tied)} runs tie at {value}; the earliest, {tied[0]}, stands for them")
    return challengers


def compare(models: Models, incumbent: Row, challengers: list[Row]) -> Decision:
    """Promote the best challenger if it beats the model in production, and not by chance.

    Raises:
        Refused: the model in production cannot be measured under the present conditions.
    """
    metric = models.promote.metric
    best = challengers[0]
    value = best[metric]
    now = measure_incumbent(models, incumbent, best)
    old = measured(now.get(metric))
    against = f"{metric_text(old)} of {now['track_id']} ({now['version']})"
    comparison = f"{metric} {value:.4f} against {against}{how_chosen(best, metric)}"
    stays = f"{now['track_id']} stays; {best['track_id']}"
    if old is None:
        return Decision(best, f"better: {comparison}")
    gain = models.gain(value, old)
    least = models.promote.min_improvement
    if not beats(gain, least):
        need = f" by at least {least}" if least else ""
        tie = " (a tie)" if value == old else ""
        return Decision(None, f"{stays} does not beat it{need}: {comparison}{tie}", compared=True)
    margin = find_margin(models, challengers, now)
    if margin is not None:
        interval = f"between {gain - margin:+.4f} and {gain + margin:+.4f}"
        comparison += f", a gain {interval} at {models.promote.confidence:.0%}"
        if len(challengers) > 1:
            comparison += f" for the best of {len(challengers)}"
        if margin >= gain:
            return Decision(None, f"{stays} is within noise: {comparison}", compared=True)
    return Decision(best, f"better: {comparison}")


def beats(gain: float, least: float) -> bool:
    """Tell whether a value is better, by at least `promote.min_improvement`; a tie is not."""
    return gain > 0 and (gain >= least or math.isclose(gain, least))


def measure_incumbent(models: Models, incumbent: Row, challenger: Row) -> Row:
    """Give the row of the model in production with its present metrics.

    Raises:
        Refused: it cannot be measured; names two ways to go on with the challenger.
    """
    try:
        return measured_now(models, incumbent)
    except Refused as error:
        run_id = challenger["track_id"]
        raise Refused(
            f"production cannot be compared with run {run_id}: {error.problem}",
            OTHER_WAYS.format(run_id),
        ) from error


def find_margin(models: Models, challengers: list[Row], old: Row) -> float | None:
    """Estimate how much of the best challenger's gain may be noise, or say why it cannot be known.

    Args:
        models: of the project.
        challengers: best first; confidence is corrected for how many they are.
        old: the row of the model in production.

    Returns:
        half the width of the gain's confidence interval; None where nothing is known of it.
    """
    promote = models.promote
    metric = promote.metric
    if promote.confidence is None:
        return None
    best = challengers[0]
    confidence = corrected(promote.confidence, len(challengers))
    experiment = load_experiment(models.root)

    def score(predictions: Any) -> float:
        if not hasattr(experiment, "score"):
            return share_of_right(predictions)
        return float(experiment.score(predictions)[metric])

    try:
        new = predicted_now(models, best)
        before = predicted_now(models, old)
        with progress("comparing predictions"):
            return margin_of_error(score, new, before, best[metric] - old[metric], confidence)
    except Exception as error:  # of the user's code, or for want of a column
        reason = f"{metric} does not follow from predictions ({type(error).__name__}: {error})"
        say(f"promote.confidence is not applied, as {reason}; {SCORE}")
        return None


def metric_text(value: Any) -> str:
    """Write a metric of a row or a card, which may be anything: `0.9100`, `NULL`, `'n/a'`."""
    if value is None:
        return "NULL"
    return f"{value:.4f}" if isinstance(value, float) else repr(value)
