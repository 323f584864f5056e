"""A few rows of the task, made here, so that tests need no data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two hundred tumours; three of four large ones are malignant."""
    random = np.random.default_rng(0)
    radius = random.uniform(5, 25, 200)
    malignant = (radius > 15) & (random.uniform(size=200) < 0.75)
    return pd.DataFrame({"id": range(200), "malignant": malignant.astype(int), "radius": radius})
