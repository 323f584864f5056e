"""Remedies of `make setup` and `make doctor`, typed in the state in which they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from remedies import State, go_through

from lineage.setup.shared_cache import link_types

SETUP = "python scripts/setup_project.py"
DOCTOR = "python scripts/doctor.py"
FIRST = 'git add --all && git commit -m "Start from cookiecutter-lineage"'
HOOKS = "pre-commit install"


def passes(step: str, command: str = SETUP) -> str:
    """Look whether a line of setup or doctor says that all is well."""
    return f"({command} || true) | grep '^✓ {step}'"


STATES = {
    "inside another repository": State(
        "rm -rf .git && git -C .. init --quiet",
        SETUP,
        'git -C PROJECT add . && git -C PROJECT commit -m "…"',
        then="git -C .. ls-files | grep experiment.py",
    ),
    "hooks elsewhere": State(
        "git config core.hooksPath /nowhere",
        SETUP,
        "git config --local --unset-all core.hooksPath && make setup",
        then=passes("hooks"),
    ),
    "no place for hooks": State(
        "rm -rf .git/hooks && touch .git/hooks", SETUP, HOOKS, f"rm .git/hooks && {HOOKS}", passes("hooks")
    ),
    "an index that Git writes": State(
        "rm -rf .git && git init --quiet && touch .git/index.lock", SETUP, "rm 'PROJECT/.git/index.lock'", then=passes("commit")
    ),
    "a key that signs nothing": State(
        "rm -rf .git && git init --quiet && git config commit.gpgsign true && git config user.signingkey nobody",
        SETUP, FIRST, f"rm .git/hooks/* && git config commit.gpgsign false && {FIRST}", passes("commit")
    ),
    "a cache that cannot be written": State(
        "dvc cache dir --local /proc/nothing",
        SETUP,
        "dvc cache dir --local FOLDER && make setup",
        then=passes("cache"),
    ),
    "a remote without a URL": State(
        "dvc config core.remote other", SETUP, "dvc remote add other URL", then=passes("remote")
    ),
    "a remote that cannot be made": State(
        "dvc remote modify --local storage url /proc/nothing",
        SETUP,
        "dvc remote modify --local storage url FOLDER && make setup",
        then=passes("remote"),
    ),
    "a remote that cannot be made at first": State(
        """sed -i 's|url = .*|url = "/proc/nothing"|' .dvc/config""",
        f"{SETUP} --first",
        "dvc remote modify storage url FOLDER && make setup",
        then=passes("remote"),
    ),
    "files that are copied": State(
        "dvc config --local cache.type copy && { dvc checkout --quiet --relink || true; }",
        DOCTOR,
        f"dvc config --local cache.type {link_types()}",
        then=passes("links", DOCTOR),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_a_remedy_of_setup_works(state: str, compiled: Project, tmp_path: Path) -> None:
    go_through(copy_project(compiled, tmp_path), STATES[state])
