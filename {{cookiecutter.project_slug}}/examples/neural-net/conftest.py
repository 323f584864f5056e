"""A few rows of the task, made here, so that tests need no data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def rows() -> pd.DataFrame:
    """Forty images of two easy classes."""
    labels = np.arange(40) % 2
    pixels = np.random.default_rng(0).integers(0, 4, (40, 64)) + labels[:, None] * 8
    frame = pd.DataFrame(pixels, columns=[f"pixel_{number:02d}" for number in range(64)])
    return frame.assign(id=range(40), label=labels)
