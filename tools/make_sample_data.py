"""Write the sample data of the template from what packages ship. The files are kept in Git; a test compares them.

Digits: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, CC BY 4.0; from scikit-learn.
Diabetes: Efron, Hastie, Johnstone, Tibshirani, "Least Angle Regression", Annals of Statistics 32 (2004); from
scikit-learn.
Tumours: Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, CC BY 4.0; from scikit-learn.
Topics: what the documentation of SciPy says of its functions, BSD 3-Clause. It changes with every SciPy, so that it is
written with `--topics` only.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

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
        "examples/neural-net/digits.parquet": frame[360:],
        "examples/neural-net/test.parquet": frame[:360],
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


def tumours() -> dict[str, pd.DataFrame]:
    """Tumours of the breast, malignant or not: 419 to train on, 150 to test on; thirty measurements of cell nuclei."""
    data = load_breast_cancer(as_frame=True)
    frame = data.frame.drop(columns="target")
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame.insert(0, "malignant", 1 - data.target.astype(np.int64))
    frame.insert(0, "id", np.arange(len(frame), dtype=np.int64))
    frame = frame.sample(frac=1.0, random_state=SEED).reset_index(drop=True)
    return {
        "examples/boosting/tumours.parquet": frame[:419],
        "examples/boosting/test.parquet": frame[419:],
    }


TOPICS = ("fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "special", "stats")
MOST_OF_A_TOPIC = 120
NOT_PROSE = re.compile(r"^(\w+\(.*\)|\.\. .*)$|As an instance of the `rv_", re.MULTILINE)


def topics() -> dict[str, pd.DataFrame]:
    """What functions of SciPy are for, in a sentence or two, and the topic that they belong to."""
    rows = []
    for topic in TOPICS:
        module = importlib.import_module(f"scipy.{topic}")
        for name in sorted(module.__all__):
            text = description(inspect.getdoc(getattr(module, name, None)) or "")
            if len(text.split()) >= 5:
                rows.append((f"{topic}.{name}", topic, text))
    frame = pd.DataFrame(rows, columns=["id", "topic", "text"]).drop_duplicates("text")
    frame = frame.sample(frac=1.0, random_state=SEED).groupby("topic").head(MOST_OF_A_TOPIC)
    frame = frame.sample(frac=1.0, random_state=SEED).reset_index(drop=True)
    return {
        "examples/text/functions.parquet": frame[: len(frame) * 3 // 4],
        "examples/text/test.parquet": frame[len(frame) * 3 // 4 :],
    }


def description(documentation: str) -> str:
    """The first two paragraphs of prose before the parameters, as one line."""
    prose = re.split(r"\n\w[\w ]*\n---", documentation)[0]
    paragraphs = [text for text in prose.split("\n\n") if not NOT_PROSE.search(text)]
    return " ".join(" ".join(paragraphs[:2]).split())


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
    parser.add_argument("--topics", action="store_true", help="the topics too, from the SciPy that is installed")
    arguments = parser.parse_args()
    output = arguments.output
    frames = {**digits(), **diabetes(), **tumours()}
    if arguments.topics:
        frames |= topics()
    for name, frame in frames.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False, compression="zstd")
    (output / "results/incoming").mkdir(parents=True, exist_ok=True)
    for folder, name in (("data", "incoming"), ("data", "test.parquet"), ("results", "incoming")):
        (output / folder / f"{name}.dvc").write_text(pointer(output / folder, name), encoding="utf-8")


if __name__ == "__main__":
    main()
