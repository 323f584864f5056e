"""`experiment.py` may be split into modules that lie beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lineage.core.errors import BadInput
from lineage.core.experiment_file import load_experiment

EXPERIMENT = """
from {module} import load_data, save_model, load_model
def fit(train, params):
    import {module}_later
    return {module}_later.ANSWER
def evaluate(model, test): return {{}}, None
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside_one.py").write_text("def load_data(path): return path\nsave_model = load_model = load_data\n")
    (tmp_path / "beside_one_later.py").write_text("ANSWER = 42\n")
    (tmp_path / "experiment.py").write_text(EXPERIMENT.format(module="beside_one"))
    return tmp_path


def test_modules_beside_it_can_be_imported_at_once_and_later(root: Path) -> None:
    experiment = load_experiment(root)
    assert experiment.load_data(root) == root
    assert experiment.fit(None, {}) == 42
    load_experiment(root)
    assert sys.path.count(str(root)) == 1


def test_a_folder_of_the_same_name_is_not_taken_for_it(root: Path) -> None:
    (root / "experiment").mkdir()
    (root / "experiment/__init__.py").write_text("raise RuntimeError\n")
    assert load_experiment(root).fit(None, {}) == 42


def type_remedy(root: Path, error: BadInput) -> subprocess.CompletedProcess[str]:
    """Type the command that an error names."""
    return subprocess.run(["bash", "-c", error.remedy or ""], cwd=root, capture_output=True, text=True, check=False)


def test_what_is_wrong_with_it(root: Path) -> None:
    path = root / "experiment.py"
    for command in ("init --quiet", "add experiment.py"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    path.write_text("def fit(:\n")
    with pytest.raises(
        BadInput, match=r"cannot be imported: SyntaxError: .*\(experiment.py, line 1\)\n  → python experiment.py"
    ) as caught:
        load_experiment(root)
    shown = type_remedy(root, caught.value).stderr
    assert shown.splitlines()[1:3] == ["    def fit(:", "            ^"], "the line and the place in it"
    path.write_text("import sys\nload_data = 1\n")
    with pytest.raises(BadInput, match=r"has no function load_data\(\)\n  → define load_data, fit, evaluate, save_"):
        load_experiment(root)
    path.unlink()
    with pytest.raises(BadInput, match=r"experiment.py is missing\n  → git checkout -- experiment.py") as caught:
        load_experiment(root)
    assert type_remedy(root, caught.value).returncode == 0
    assert load_experiment(root).fit(None, {}) == 42
