"""A few rows of the task, made here, so that tests need no data."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture
def rows() -> pd.DataFrame:
    """Forty sentences on two topics."""
    words = {"fft": "the fast transform of a signal", "stats": "the mean of a random variable"}
    topics = ["fft", "stats"] * 20
    texts = [f"Compute {words[topic]}, case {number}." for number, topic in enumerate(topics)]
    return pd.DataFrame({"id": [f"row {n}" for n in range(40)], "topic": topics, "text": texts})
