"""How often the gate promotes a model that is no better, and how large a gain has to be to be seen.

A/A: the model in production and its challengers are equally good: each is right on an item with a
chance that depends on the item alone. The gate takes the best challenger, as it does in a project;
whatever it promotes is promoted by luck. Power: the challengers are better by a stated effect.

    python benchmarks/gate.py [TRIALS]      # 1,000 by default: 5 minutes on one core
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TEMPLATE = Path(__file__).parents[1]
sys.path.insert(0, str(TEMPLATE / "{{cookiecutter.project_slug}}/scripts"))

from lineage.extras.confidence.noise import corrected, margin_of_error, share_of_right  # noqa: E402

ITEMS = 360
"""As in the test set of the sample."""

ACCURACY = 0.9
CONFIDENCE = 0.95
CLASSES = 10


def macro_f1(predictions: pd.DataFrame) -> float:
    """Macro F1 by numpy, as `sklearn.metrics.f1_score` computes it; the sample's metric."""
    actual, predicted = predictions["actual"].to_numpy(), predictions["predicted"].to_numpy()
    hits = np.bincount(actual[actual == predicted], minlength=CLASSES)
    total = np.bincount(actual, minlength=CLASSES) + np.bincount(predicted, minlength=CLASSES)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


METRICS = {"accuracy": share_of_right, "f1_score": macro_f1}


def predict(generator: np.random.Generator, actual: np.ndarray, chances: np.ndarray) -> pd.DataFrame:
    """What a model says that is right on each item with its own chance, and else another class."""
    wrong = (actual + generator.integers(1, CLASSES, size=actual.size)) % CLASSES
    right = generator.random(actual.size) < chances
    return pd.DataFrame({"actual": actual, "predicted": np.where(right, actual, wrong)})


def is_promoted(generator: np.random.Generator, metric: str, challengers: int, effect: float = 0.0) -> bool:
    """One sweep against the model in production: whether the gate lets its best run in.

    Args:
        generator: of chance.
        metric: what is compared.
        challengers: runs of the sweep.
        effect: by how much the accuracy of each of them is higher in truth.
    """
    score = METRICS[metric]
    actual = generator.integers(CLASSES, size=ITEMS)
    chances = generator.beta(4.5 * ACCURACY, 4.5 * (1 - ACCURACY), size=ITEMS)  # easy and hard items
    old = predict(generator, actual, chances)
    better = chances + effect * (1 - chances) / (1 - ACCURACY)
    best = max((predict(generator, actual, better) for _ in range(challengers)), key=score)
    gain = score(best) - score(old)
    if gain <= 0:
        return False
    return gain > margin_of_error(score, best, old, gain, corrected(CONFIDENCE, challengers))


def share_promoted(trials: int, metric: str, challengers: int, effect: float = 0.0) -> float:
    """The share of trials in which the gate promoted; trial 0 is the same in every run."""
    seeds = range(trials)
    return sum(is_promoted(np.random.default_rng(seed), metric, challengers, effect) for seed in seeds) / trials


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    results = []
    print(f"{trials} trials each; {ITEMS} test items, accuracy {ACCURACY}, promote.confidence {CONFIDENCE}")
    for effect in (0.0, 0.02, 0.04, 0.06):
        for metric in METRICS:
            for challengers in (1, 20):
                share = share_promoted(trials if effect == 0 else trials // 5, metric, challengers, effect)
                results.append({"metric": metric, "effect": effect, "challengers": challengers, "promoted": share})
                kind = f"better by {effect}" if effect else "A/A"
                print(f"{metric:9} {kind:15} sweep of {challengers:2}: {share:6.1%} promoted", flush=True)
    folder = TEMPLATE / "build/benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gate.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
