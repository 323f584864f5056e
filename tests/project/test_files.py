"""What a bake writes: exactly these files, all of them valid whatever the answers."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from baked_projects import SOURCE, TEMPLATE, Bakery, Project

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILES = [
    ".cruft.json",
    ".devcontainer/devcontainer.json",
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots/by_version.json",
    ".dvc/plots/confusion_counts.json",
    ".dvc/plots/curves.json",
    ".dvc/plots/page.html",
    ".dvc/plots/parallel.json",
    ".dvcignore",
    ".gitattributes",
    ".github/workflows/checks.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".vscode/extensions.json",
    ".vscode/settings.json",
    "AGENTS.md",
    "CITATION.cff",
    "CLAUDE.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "data/.gitignore",
    "data/incoming.dvc",
    "data/test.parquet.dvc",
    "docs/cluster.md",
    "docs/completion.sh",
    "docs/data_versioning.md",
    "docs/dvc-setup.md",
    "docs/examples.md",
    "docs/experiment.md",
    "docs/extras.md",
    "docs/formats.md",
    "docs/merge-rebase.md",
    "docs/models.md",
    "docs/params.yaml",
    "docs/parts.md",
    "docs/python.md",
    "docs/quickstart.md",
    "docs/report.md",
    "docs/runs.md",
    "docs/scale.md",
    "docs/search.md",
    "docs/tracking.md",
    "docs/troubleshooting.md",
    "docs/updating.md",
    "docs/use-cases.md",
    "docs/validation.md",
    "docs/versions.md",
    "docs/workflows.md",
    "docs/worktrees.md",
    "dvc.yaml",
    "examples/README.md",
    "examples/batches/batch_002.parquet",
    "examples/batches/batch_003.parquet",
    "examples/boosting/conftest.py",
    "examples/boosting/experiment.py",
    "examples/boosting/params.yaml",
    "examples/boosting/requirements.txt",
    "examples/boosting/test.parquet",
    "examples/boosting/test_task.py",
    "examples/boosting/tumours.parquet",
    "examples/neural-net/conftest.py",
    "examples/neural-net/digits.parquet",
    "examples/neural-net/experiment.py",
    "examples/neural-net/params.yaml",
    "examples/neural-net/test.parquet",
    "examples/neural-net/test_task.py",
    "examples/neural-net/torch/experiment.py",
    "examples/neural-net/torch/requirements.txt",
    "examples/put_in_place.py",
    "examples/regression/conftest.py",
    "examples/regression/plots.yaml",
    "examples/regression/experiment.py",
    "examples/regression/params.yaml",
    "examples/regression/patients.parquet",
    "examples/regression/test.parquet",
    "examples/regression/test_task.py",
    "examples/text/conftest.py",
    "examples/text/experiment.py",
    "examples/text/functions.parquet",
    "examples/text/params.yaml",
    "examples/text/test.parquet",
    "examples/text/test_task.py",
    "experiment.py",
    "models/.gitignore",
    "notebooks/explore.ipynb",
    "params.yaml",
    "pyproject.toml",
    "requirements-cluster.lock",
    "requirements-report.lock",
    "requirements-search.lock",
    "requirements-update.lock",
    "requirements.lock",
    "results/.gitignore",
    "results/incoming.dvc",
    "results/plots/.gitignore",
    "scripts/doctor.py",
    "scripts/experiment_explorer.py",
    "scripts/finish_worktree.sh",
    "scripts/git_merge_driver.py",
    "scripts/merge_artifacts.py",
    "scripts/merge_data.py",
    "scripts/merge_results.py",
    "scripts/model_manager.py",
    "scripts/promote_model.py",
    "scripts/setup_project.py",
    "scripts/setup_worktree.sh",
    "scripts/train.py",
    "scripts/version_tag.py",
    "scripts/worktree.py",
    "tests/conftest.py",
    "tests/test_experiment.py",
    "tests/test_params.py",
    "tests/test_task.py",
]
FILES += [path.relative_to(SOURCE).as_posix() for path in (SOURCE / "scripts/lineage").rglob("*.py")]
FILES += [f"scripts/lineage/extras/report/page.{kind}" for kind in ("css", "html", "js")]
FILES += [path.relative_to(SOURCE).as_posix() for path in (SOURCE / "scripts/lineage/extras/report").rglob("*.json")]
FILES += [path.relative_to(SOURCE).as_posix() for path in (SOURCE / "docs/schemas").iterdir()]
UNTRACKED = ["data/incoming/batch_001.parquet", "data/test.parquet", "results/incoming/README.md"]

HOSTILE = {
    "double quotes": 'the "best" model',
    "apostrophe": "Ada's model",
    "backslash": r"C:\new\table",
    "trailing backslash": "ends with \\",
    "line break": "first line\nsecond: line",
    "emoji": "digits 🔢 and é",
    "jinja": "{{ '{{' }} not_a_variable {{ '}}' }} {{ '{%' }} if {{ '%}' }}",
    "yaml and toml": "# no: [comment] = {x}, 'y' & *z | > !tag %",
    "long": "n" * 200,
    "html": "<b>&amp;</b>",
}
JINJA_VALUE = "{{ not_a_variable }} {% if %}"


def read(path: Path) -> object:
    """Parse a file by its kind; raises when it is not valid."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".yaml", ".yml", ".cff", ".dvc"):
        return yaml.safe_load(text)
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix == ".json":
        return json.loads(text)
    parser = configparser.RawConfigParser()
    parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    return parser


def parsed_files(project: Project) -> dict[str, object]:
    names = [name for name in FILES if Path(name).suffix in (".yaml", ".yml", ".cff", ".dvc", ".toml", ".json")]
    return {name: read(project.path / name) for name in [*names, ".dvc/config"]}


def test_the_exact_set_of_files(baked: Project) -> None:
    assert sorted(baked.git("ls-files").splitlines()) == sorted(FILES)
    ignored = baked.git("ls-files", "--others", "--exclude=.dvc").splitlines()
    assert sorted(name for name in ignored if not name.startswith(".dvc/")) == sorted(UNTRACKED)


def test_no_jinja_is_left_over(baked: Project) -> None:
    for name in FILES:
        path = baked.path / name
        if path.suffix == ".parquet":
            continue
        text = re.sub(r"\$\{\{.*?\}\}", "", path.read_text(encoding="utf-8"))  # GitHub's own expressions
        assert "cookiecutter." not in text and "{%" not in text, name
        assert "{{" not in text or path.suffix == ".py", name


FEW = ("double quotes", "line break", "jinja")
"""What goes wrong in different places; the others are tried with the slow tests."""


def hostile_answers() -> list[Any]:
    marks = {name: () if name in FEW else (pytest.mark.slow,) for name in HOSTILE}
    return [pytest.param(value, id=name, marks=marks[name]) for name, value in HOSTILE.items()]


@pytest.mark.slow
@pytest.mark.parametrize("value", hostile_answers())
def test_every_file_stays_valid_with_hostile_answers(bake: Bakery, value: str) -> None:
    project = bake(project_name=value, project_slug="hostile", description=value, author_name=value)
    expected = JINJA_VALUE if "not_a_variable" in value else value  # cookiecutter renders what it is given as an option
    files = parsed_files(project)
    pyproject, params, citation = files["pyproject.toml"], files["params.yaml"], files["CITATION.cff"]
    assert isinstance(pyproject, dict) and isinstance(params, dict) and isinstance(citation, dict)
    assert pyproject["project"]["description"] == params["experiment"]["description"] == expected
    assert pyproject["project"]["authors"][0]["name"] == params["experiment"]["author"] == expected
    assert citation["title"] == files[".devcontainer/devcontainer.json"]["name"] == expected  # type: ignore[index]
    assert project.git("status", "--porcelain") == ""
    assert project.script("train", "--help").startswith("Usage")
    readme = (project.path / "README.md").read_text(encoding="utf-8").splitlines()
    assert readme[0] == "# " + expected.replace("\n", " ")


@pytest.mark.slow
def test_a_path_with_spaces_and_quotes(bake: Bakery, tmp_path: Path) -> None:
    folder = tmp_path / "my 'own' \"folder\" é"
    cache = tmp_path / "shared cache"
    project = bake(into=folder, shared_cache_dir=str(cache))
    assert "up to date" in project.dvc("status", "data/incoming.dvc")
    assert list(cache.glob("files/md5/*/*"))
    project.repro("merge_data")
    assert len(pd.read_parquet(project.path / "data/train.parquet")) == 537


LICENCES = {
    "MIT": "MIT License",
    "Apache-2.0": "Apache License",
    "BSD-3-Clause": "BSD 3-Clause License",
    "Proprietary": "All rights reserved",
}


@pytest.mark.slow
@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_of_choice(bake: Bakery, licence: str) -> None:
    project = bake(license=licence, author_name="Ada Lovelace")
    text = (project.path / "LICENSE").read_text(encoding="utf-8")
    assert LICENCES[licence] in text
    assert sum(other in text for other in LICENCES.values()) == 1
    assert licence == "Apache-2.0" or "Ada Lovelace" in text
    citation = yaml.safe_load((project.path / "CITATION.cff").read_text())
    assert citation.get("license") == (None if licence == "Proprietary" else licence)


PROJECT_LOCK = SOURCE / "requirements.lock"
EXTRA_LOCKS = {name: SOURCE / f"requirements-{name}.lock" for name in ("search", "cluster", "report", "update")}
TEMPLATE_LOCK = TEMPLATE / "requirements-dev.lock"


@pytest.mark.parametrize("lock", [PROJECT_LOCK, *EXTRA_LOCKS.values(), TEMPLATE_LOCK], ids=lambda p: p.name)
def test_lock_files_carry_hashes_and_no_index_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for requirement in re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2]):
        assert "==" in requirement.splitlines()[0], requirement
        assert "--hash=sha256:" in requirement, requirement


def entries(path: Path) -> set[str]:
    """The lines of a lock file that pin something, each with the machines that it is for."""
    lines = re.findall(r"^[a-z0-9].*==.*$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {line.removesuffix("\\").strip() for line in lines}


def pins(path: Path) -> set[str]:
    return {entry.partition(" ")[0] for entry in entries(path)}


def test_the_template_pins_what_the_project_pins() -> None:
    assert pins(PROJECT_LOCK).union(*map(pins, EXTRA_LOCKS.values())) <= pins(TEMPLATE_LOCK)


@pytest.mark.parametrize(
    ("extra", "package", "most"),
    [("search", "optuna", 10), ("cluster", "distributed", 20), ("report", "itables", 5), ("update", "cruft", 11)],
)
def test_what_an_extra_needs_goes_beside_what_is_there_already(extra: str, package: str, most: int) -> None:
    """`make setup EXTRAS=search` installs its lock on top of the others, and resolves nothing."""
    lock = EXTRA_LOCKS[extra]
    names = {pin.partition("==")[0] for pin in pins(lock)}
    assert package in names and len(names) < most
    for other in {PROJECT_LOCK, *EXTRA_LOCKS.values()} - {lock}:
        assert entries(lock) & entries(other) == set() or other != PROJECT_LOCK
        both = {pin for pin in pins(other) if pin.partition("==")[0] in names}
        assert both <= pins(lock), "a package that is in both has one version"
    optional = tomllib.loads(re.sub(r"= \{\{.*?\}\}", '= "an answer"', (SOURCE / "pyproject.toml").read_text("utf-8")))
    wanted = optional["project"]["optional-dependencies"][extra]
    needed = {requirement.split(">")[0].removesuffix("[distributed]") for requirement in wanted}
    assert needed <= names


@pytest.mark.slow
def test_everything_imports_together() -> None:
    """xetrack asks for numpy 1, which the lock overrides: no resolver says whether all of it works together."""
    packages = "xetrack, pyarrow.parquet, pandas, duckdb, skops.io, sklearn, dvc.repo, dvc_s3, adbc_driver_sqlite"
    code = f"import {packages}, numpy; print(numpy.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2.")


def test_the_template_overrides_what_the_project_overrides(baked: Project) -> None:
    """Else `make lock` of the one would pin what that of the other cannot."""
    texts = [(folder / "pyproject.toml").read_text(encoding="utf-8") for folder in (TEMPLATE, baked.path)]
    pages = [tomllib.loads(text) for text in texts]
    overrides = [page["tool"]["uv"]["override-dependencies"] for page in pages]
    assert overrides[0] == overrides[1] == ["numpy>=2"]


@pytest.mark.slow
def test_sample_data_are_those_of_scikit_learn(tmp_path: Path) -> None:
    subprocess.run([sys.executable, TEMPLATE / "tools/make_sample_data.py", "--output", tmp_path], check=True)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert len(made) == 10
    for name in made:
        pd.testing.assert_frame_equal(pd.read_parquet(SOURCE / name), pd.read_parquet(tmp_path / name))


def test_batches_and_test_set_are_all_of_the_digits_once() -> None:
    from sklearn.datasets import load_digits

    names = ["data/test", "data/incoming/batch_001", "examples/batches/batch_002", "examples/batches/batch_003"]
    frame = pd.concat([pd.read_parquet(SOURCE / f"{name}.parquet") for name in names]).sort_values("id")
    pixels, labels = load_digits(return_X_y=True)
    assert list(frame["id"]) == list(range(1797))
    assert (frame["label"].to_numpy() == labels).all()
    assert (frame.drop(columns=["id", "label"]).to_numpy() == pixels).all()


def test_pointers_name_the_files_beside_them() -> None:
    for name in ("data/test.parquet", "data/incoming", "results/incoming"):
        recorded = yaml.safe_load((SOURCE / f"{name}.dvc").read_text())["outs"][0]
        target = SOURCE / name
        if target.is_file():
            assert recorded["md5"] == hashlib.md5(target.read_bytes()).hexdigest()
        else:
            entries = [
                {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.name}
                for path in sorted(target.iterdir())
            ]
            listing = json.dumps(entries, sort_keys=True).encode()
            assert recorded["md5"] == hashlib.md5(listing).hexdigest() + ".dir"
