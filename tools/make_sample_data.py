"""Write the sample data of the template from what scikit-learn ships. The files are kept in Git; a test compares them.

Digits: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, CC BY 4.0.
Diabetes: Efron, Hastie, Johnstone, Tibshirani, "Least Angle Regression", Annals of Statistics 32 (2004).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_digits

TEMPLATE = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}"
SEED = 20240229


def digits() -> dict[str, pd.DataFrame]:
    """The digits, shuffled: 360 images to test on, a first batch of 537 to train on, two more of 450."""
    pixels, labels = load_digits(return_X_y=True)
    frame = pd.DataFrame(pixels.astype(np.uint8), columns=[f"pixel_{number:02d}" for number in range(64)])
    frame.insert(0, "label", labels.astype(np.uint8))
    frame.insert(0, "id", np.arange(len(frame), dtype=np.int64))
    frame = frame.sample(frac=1.0, random_state=SEED).reset_index(drop=True)
    return {
        "data/test.parquet": frame[:360],
        "data/incoming/batch_001.parquet": frame[360:897],
        "examples/batches/batch_002.parquet": frame[897:1347],
        "examples/batches/batch_003.parquet": frame[1347:],
    }


def diabetes() -> dict[str, pd.DataFrame]:
    """Diabetes progression after a year: 342 patients to train on, 100 to test on; ten standardised measurements."""
    data = load_diabetes(as_frame=True)
    frame = data.frame.rename(columns={"target": "progression"})
    frame.insert(0, "id", np.arange(len(frame), dtype=np.int64))
    frame = frame.sample(frac=1.0, random_state=SEED).reset_index(drop=True)
    return {
        "examples/regression/patients.parquet": frame[:342],
        "examples/regression/test.parquet": frame[342:],
    }


REMEDY = "  desc: 'In a fresh clone: make setup'\n"
"""DVC says `failed to reproduce 'data/incoming.dvc': missing data`, and whoever opens that file reads what helps."""


def pointer(folder: Path, name: str) -> str:
    """The text of the `.dvc` file that `dvc add` would write for a file or folder."""
    target = folder / name
    if target.is_file():
        md5 = hashlib.md5(target.read_bytes()).hexdigest()
        return f"outs:\n- md5: {md5}\n  size: {target.stat().st_size}\n  hash: md5\n  path: {name}\n{REMEDY}"
    files = sorted(path for path in target.rglob("*") if path.is_file())
    entries = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.relative_to(target).as_posix()}
        for path in files
    ]
    md5 = hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
    size = sum(path.stat().st_size for path in files)
    return f"outs:\n- md5: {md5}\n  size: {size}\n  nfiles: {len(files)}\n  hash: md5\n  path: {name}\n{REMEDY}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=TEMPLATE, help="where to write; default: the template")
    output = parser.parse_args().output
    for name, frame in {**digits(), **diabetes()}.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False, compression="zstd")
    (output / "results/incoming").mkdir(parents=True, exist_ok=True)
    for folder, name in (("data", "incoming"), ("data", "test.parquet"), ("results", "incoming")):
        (output / folder / f"{name}.dvc").write_text(pointer(output / folder, name), encoding="utf-8")


if __name__ == "__main__":
    main()
