"""Text: which part of a library is a sentence about? The model is a folder.

`make example NAME=text` puts it in place of the project's experiment.

Data: what functions of SciPy are for, from its documentation, and the part of SciPy that each is
in. Copyright (c) the SciPy Developers, licence BSD 3-Clause.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from lineage.extras.tracking.active_run import ActiveRun

TARGET = "topic"
TEXT = "text"
ID = "id"
SHOWN_WORDS = 10


@dataclass
class TextModel:
    """A linear classifier of words and pairs of words.

    Attributes:
        vocabulary: the words that count, in the order of the columns of `weights`.
        topics: in the order of the rows of `weights`.
        idf: how much each word counts; shape (words,).
        weights: shape (topics, words); of two topics, those of the second, shape (1, words).
        bias: shape (topics,), or (1,).
    """

    vocabulary: list[str]
    topics: list[str]
    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def probabilities(self, texts: pd.Series[str]) -> np.ndarray:
        """Tell how likely each topic is for each text; shape (texts, topics)."""
        classifier = LogisticRegression()
        classifier.classes_ = np.array(self.topics)
        classifier.coef_ = self.weights
        classifier.intercept_ = self.bias
        counts = _counter(self.vocabulary).transform(texts)
        return classifier.predict_proba(_scaled(counts, self.idf))


def load_data(path: Path) -> pd.DataFrame:
    """Read a data set: one row per function, `id`, `topic` and `text`."""
    return pd.read_parquet(path)


def fit(train: pd.DataFrame, params: dict[str, Any], run: ActiveRun) -> TextModel:
    """Learn which words speak for which topic, and keep the vocabulary beside the model.

    Args:
        train: texts to learn from.
        params: `min_texts` that a word must be in, and `C`, the inverse strength of the
            regularisation.
        run: keeps what it learned as files to look at.
    """
    counter = _counter(min_texts=params["min_texts"])
    counts = counter.fit_transform(train[TEXT])
    idf = TfidfTransformer().fit(counts).idf_
    classifier = LogisticRegression(C=params["C"], max_iter=1000)
    classifier.fit(_scaled(counts, idf), train[TARGET])
    model = TextModel(
        vocabulary=list(counter.get_feature_names_out()),
        topics=list(classifier.classes_),
        idf=idf,
        weights=classifier.coef_,
        bias=classifier.intercept_,
    )
    _write_json(run.artifact("vocabulary.json"), dict(zip(model.vocabulary, idf)))
    _write_json(run.artifact("words_of_topics.json"), _strongest_words(model))
    return model


def evaluate(model: TextModel, test: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Measure a model on texts that it has not seen."""
    probabilities = model.probabilities(test[TEXT])
    predictions = pd.DataFrame(
        {
            "item_id": test[ID].to_numpy(),
            "actual": test[TARGET].to_numpy(),
            "predicted": np.array(model.topics)[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    return score(predictions), predictions


def score(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute the metrics from predictions: the gate does it for many draws of them."""
    actual = predictions["actual"].to_numpy()
    predicted = predictions["predicted"].to_numpy()
    return {
        "f1_score": f1_score(actual, predicted, average="macro", zero_division=0.0),
        "accuracy": accuracy_score(actual, predicted),
    }


def save_model(model: TextModel, path: Path) -> None:
    """Write a model as a folder: words as JSON, numbers as .npz; equal models are equal bytes."""
    path.mkdir()
    words = {"vocabulary": model.vocabulary, "topics": model.topics}
    _write_json(path / "words.json", words)
    np.savez(path / "numbers.npz", idf=model.idf, weights=model.weights, bias=model.bias)


def load_model(path: Path) -> TextModel:
    """Read a model back; numpy runs no code unless it is allowed to unpickle."""
    words = json.loads((path / "words.json").read_text(encoding="utf-8"))
    with np.load(path / "numbers.npz") as numbers:
        return TextModel(**words, **numbers)


def _counter(vocabulary: list[str] | None = None, min_texts: int = 1) -> CountVectorizer:
    """Make what counts the words of a text, and the pairs of words that follow each other."""
    return CountVectorizer(vocabulary=vocabulary, min_df=min_texts, ngram_range=(1, 2))


def _scaled(counts: csr_matrix, idf: np.ndarray) -> csr_matrix:
    """Weigh counts by how rare words are, and scale each text to length 1; (texts, words)."""
    weigh = TfidfTransformer()
    weigh.idf_ = idf
    return weigh.transform(counts)


def _strongest_words(model: TextModel) -> dict[str, list[str]]:
    """Find the words that speak most for each topic, the strongest first."""
    weights = model.weights
    if len(model.topics) == 2:
        weights = np.vstack([-weights, weights])
    strongest = np.argsort(-weights, axis=1)[:, :SHOWN_WORDS]
    words = np.array(model.vocabulary)[strongest]
    return dict(zip(model.topics, words.tolist()))


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
