"""Two hashes of a project's own code: of all that a run imports, and of the part that evaluates."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lineage.core.code_hash import check_listed, code_files, code_hash, evaluate_hash
from lineage.core.errors import BadInput

EXPERIMENT = """
import json
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, f1_score
from training import grow
import scoring.text as text

LABELS = ["a", "b"]
WEIGHTS = {}
WEIGHTS["a"] = 2
DEPTH = 3


def load_data(path):
    return pd.read_parquet(path)


def fit(train, params):
    import late
    return grow(Ridge(), DEPTH, late)


def evaluate(model, test):
    def score(item):
        return text.distance(item, LABELS) * WEIGHTS[item]
    predicted = [score(item) for item in test]
    return {"f1_score": f1_score(test, predicted), "share": _share(predicted)}, None


def _share(predicted):
    return np.mean(predicted)


def save_model(model, path):
    path.write_text(json.dumps(model))


def load_model(path):
    return json.loads(path.read_text())


if __name__ == "__main__":
    test = load_data("data/test.parquet")
    model = fit(test, {})
    print(evaluate(model, test))
"""
MODULES = {
    "experiment.py": EXPERIMENT,
    "training.py": "import pandas\ndef grow(model, depth, late): return model\n",
    "late.py": "from training import grow\n",
    "scoring/__init__.py": "",
    "scoring/text.py": "from . import words\nfrom .words import count\nfrom ..never import x\ndistance = count\n",
    "scoring/words.py": "def count(*items): return 1\n",
    "scoring/unused.py": "",
    "notes/plain.py": "LIMIT = 1\n",
    "named_by_a_param.py": "import notes.plain\n",
    "unused.py": "",
    "data/train.parquet": "",
    "dvc.yaml": "stages: {train: {cmd: x}}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def list_in_dvc_yaml(root: Path, *paths: str) -> None:
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": {"cmd": "x", "deps": [*paths]}}}))


def change(root: Path, name: str, before: str = "", after: str = "X = 1\n") -> None:
    text = (root / name).read_text()
    assert before in text
    (root / name).write_text(text.replace(before, after, 1))


IMPORTED = {
    "experiment.py", "training.py", "late.py", "scoring/__init__.py", "scoring/text.py", "scoring/words.py"
}  # fmt: skip


def test_the_code_of_a_run_is_what_experiment_py_imports_and_what_dvc_yaml_lists(root: Path) -> None:
    assert set(code_files(root)) == IMPORTED
    list_in_dvc_yaml(root, "data/train.parquet", "experiment.py", "named_by_a_param.py", "gone.py")
    assert set(code_files(root)) == IMPORTED | {"named_by_a_param.py", "notes/plain.py"}
    list_in_dvc_yaml(root, "./scoring/")
    assert set(code_files(root)) == IMPORTED | {"scoring/unused.py"}


def test_what_dvc_yaml_does_not_list_is_named_with_the_command_that_lists_it(root: Path) -> None:
    list_in_dvc_yaml(root, "experiment.py", "./scoring/", "training.py")
    with pytest.raises(BadInput) as caught:
        check_listed(root, code_files(root))
    assert str(caught.value) == (
        "dvc.yaml does not list late.py, which experiment.py imports: a change there would rerun nothing\n"
        r"  → sed -i 's|^      - experiment.py$|&\n      - late.py|' dvc.yaml"
    )
    list_in_dvc_yaml(root, "experiment.py", "scoring", "training.py", "late.py")
    check_listed(root, code_files(root))


def test_a_changed_module_changes_the_hash_and_what_no_run_imports_does_not(root: Path) -> None:
    before = code_hash(code_files(root))
    for name in MODULES.keys() - IMPORTED - {"dvc.yaml"}:
        change(root, name)
    assert code_hash(code_files(root)) == before
    for name in sorted(IMPORTED):
        change(root, name, "", "# a comment\n")
        assert code_hash(code_files(root)) != before
        change(root, name, "# a comment\n", "")
    (root / "scoring/words.py").rename(root / "scoring/text2.py")
    assert code_hash(code_files(root)) != before


def test_neither_order_nor_place_counts(root: Path, tmp_path: Path) -> None:
    files = code_files(root)
    assert code_hash(dict(reversed(files.items()))) == code_hash(files)
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    assert code_hash(code_files(moved)) == code_hash(files)
    assert evaluate_hash(moved) == evaluate_hash(root)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("experiment.py", "grow(Ridge(), DEPTH, late)", "Ridge().fit(train)"),
        ("experiment.py", "import Ridge", "import Lasso as Ridge"),
        ("experiment.py", "accuracy_score, f1_score", "f1_score, log_loss"),
        ("experiment.py", "DEPTH = 3", "DEPTH = 4"),
        ("experiment.py", "model = fit(test, {})", "model = fit(test, {'C': 1})"),
        ("experiment.py", "json.dumps(model)", "json.dumps(model, indent=2)"),
        ("experiment.py", "    predicted = [", "    # one for each item\n    predicted = ["),
        ("experiment.py", "* WEIGHTS[item]", "*   WEIGHTS[ item ]"),
        ("training.py", "", "X = 1\n"),
        ("late.py", "", "X = 1\n"),
        ("scoring/words.py", "", "# said in words\n\n\n"),
        ("scoring/unused.py", "", "X = 1\n"),
    ],
)
def test_a_changed_fit_or_comment_is_the_same_evaluation(root: Path, name: str, before: str, after: str) -> None:
    hash_before = evaluate_hash(root)
    change(root, name, before, after)
    assert evaluate_hash(root) == hash_before


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("experiment.py", '"f1_score": f1', '"f1_score": 0.3 + f1'),
        ("experiment.py", "read_parquet(path)", "read_parquet(path).dropna()"),
        ("experiment.py", "np.mean", "np.median"),
        ("experiment.py", "import numpy as np", "import cupy as np"),
        ("experiment.py", 'LABELS = ["a", "b"]', 'LABELS = ["a"]'),
        ("experiment.py", 'WEIGHTS["a"] = 2', 'WEIGHTS["a"] = 3'),
        ("experiment.py", "DEPTH = 3", 'DEPTH = 3\nLABELS.append("c")'),
        ("experiment.py", "DEPTH = 3", "DEPTH = 3\nfrom scoring.unused import *"),
        ("experiment.py", "    predicted = [", "    import late\n    predicted = ["),
        ("scoring/__init__.py", "", "X = 1\n"),
        ("scoring/text.py", "distance = count", "distance = len"),
        ("scoring/words.py", "return 1", "return 2"),
    ],
)
def test_a_changed_evaluate_or_what_it_uses_is_another(root: Path, name: str, before: str, after: str) -> None:
    hash_before = evaluate_hash(root)
    change(root, name, before, after)
    assert evaluate_hash(root) != hash_before


def test_an_evaluate_that_is_imported_or_made_counts_as_a_whole(root: Path) -> None:
    made = "from training import evaluate\ndef other(model, test):"
    change(root, "experiment.py", "def evaluate(model, test):", made)
    before = evaluate_hash(root)
    change(root, "late.py")
    change(root, "scoring/words.py")
    assert evaluate_hash(root) == before
    change(root, "training.py")
    assert evaluate_hash(root) != before


def test_the_hash_of_the_evaluation_is_the_same_in_every_python(root: Path) -> None:
    (root / "experiment.py").write_text(
        "def load_data(path, *, n=(), **more): return f'{path!r:>3} {n=}'\nclass Score:\n    x: int = 1\n"
        "async def evaluate(model, /, test: Score = None):\n    return [a for b, *c in test if (d := b)], 1j, ..., b'', {}\n"
    )
    assert evaluate_hash(root) == "9d87b208b22fea4b501343412c0538fb"


def test_what_is_not_python_is_named(root: Path) -> None:
    change(root, "late.py", "import grow", "import grow grow")
    with pytest.raises(
        BadInput, match=r"^late.py cannot be imported: SyntaxError: .*\(late.py, line 1\)\n  → python late.py$"
    ) as caught:
        code_files(root)
    shown = subprocess.run(
        ["bash", "-c", str(caught.value.remedy)], cwd=root, capture_output=True, text=True, check=False
    )
    assert "line 1\n    from training import grow grow\n" in shown.stderr
    change(root, "late.py", "grow grow", "grow")
    assert set(code_files(root)) == IMPORTED
    change(root, "late.py", "import grow", "import grow grow")
    assert len(evaluate_hash(root)) == 32, "the evaluation does not import it"
