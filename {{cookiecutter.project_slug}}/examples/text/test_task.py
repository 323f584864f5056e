"""What only this task has to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import experiment
from lineage.extras.tracking.active_run import ActiveRun

PARAMS = {"min_texts": 2, "C": 10.0}


def test_the_model_is_the_one_that_scikit_learn_would_make(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    words = TfidfVectorizer(min_df=2, ngram_range=(1, 2))
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    classifier.fit(words.fit_transform(rows["text"]), rows["topic"])
    model = experiment.fit(rows, PARAMS, ActiveRun(tmp_path, "run-1", PARAMS))
    expected = classifier.predict_proba(words.transform(rows["text"]))
    np.testing.assert_allclose(model.probabilities(rows["text"]), expected)


def test_the_words_of_each_topic_are_kept_to_look_at(rows: pd.DataFrame, tmp_path: Path) -> None:
    run = ActiveRun(tmp_path, "run-1", PARAMS)
    experiment.fit(rows, PARAMS, run)
    strongest = json.loads(run.artifact("words_of_topics.json").read_text(encoding="utf-8"))
    assert "signal" in strongest["fft"] and "random" in strongest["stats"]
