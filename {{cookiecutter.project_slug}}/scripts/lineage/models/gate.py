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

from lineage.core.console import say
from lineage.core.errors import Refused, explain_missing
from lineage.models.measure import measured_now
from lineage.models.model_card import as_row, read_card
from lineage.models.run_model import Models, missing_code
from lineage.results.leaderboard import Row, best_on_validation, how_chosen, measured

OTHER_WAYS = (
    "python scripts/model_manager.py promote --run-id {} && dvc repro   # replaces it\n"
    "  → sed -i '/^promote:/,$ s/strategy: rebase/strategy: merge/' params.yaml"
    " && dvc repro   # keeps it"
)
BY_HAND = "a better model replaces it (promote.pinned: true holds it)"


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
        return Decision(
            None, f"{own} stays; there is no new model with a value of {metric}", compared=bool(new)
        )
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
    return Decision(
        first,
        f"first model of the project, {metric}={first[metric]:.4f}{how_chosen(first, metric)}",
    )


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
        BadInput: `promote.confidence` is set, and its extra is not here.
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
    margin = None
    if models.promote.confidence is not None:
        with explain_missing("confidence", "promote.confidence in params.yaml"):
            from lineage.extras.confidence.margin import find_margin
        margin = find_margin(models, models.promote.confidence, challengers, now)
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


def metric_text(value: Any) -> str:
    """Write a metric of a row or a card, which may be anything: `0.9100`, `NULL`, `'n/a'`."""
    if value is None:
        return "NULL"
    return f"{value:.4f}" if isinstance(value, float) else repr(value)
