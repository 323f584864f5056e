"""Remedies around versions, models and results, typed in the state in which they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from baked_projects import Project, copy_project
from remedies import State, go_through, parquet

EXPLORE = "python scripts/experiment_explorer.py"
MODELS = "python scripts/model_manager.py"
RUN = '$(sqlite3 results/experiments.db "SELECT track_id FROM metrics")'
GET = f"{EXPLORE} get --version e0.1.0 --artifact models/production/model.bin"
CHECKOUT = f"{EXPLORE} checkout --version e0.1.0"
MERGE = "python scripts/merge_results.py"
DATA = """PYTHONPATH=scripts python -c 'import lineage, sys
try: lineage.data("e0.1.0")
except Exception as error: sys.exit(str(error))'"""
IDS = "use letters, digits, '.', '_' and '-'"


def version_without_data(project: Project) -> None:
    """Let the tag name a commit whose dvc.lock knows no training data."""
    lock = project.path / "dvc.lock"
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    del content["stages"]["merge_data"]["outs"]
    lock.write_text(yaml.safe_dump(content), encoding="utf-8")
    project.commit("without data")
    project.git("tag", "--force", "e0.1.0")


STATES = {
    "a version without data": State(version_without_data, DATA, "git tag", then=None),
    "an output that exists": State("touch m.bin", f"{GET} --output m.bin", "--force", then=None),
    "an output in Git's folder": State("", f"{GET} --output .git/m.bin", "--output copy", then=None),
    "an output that is a pipe": State("mkfifo m.bin", f"{GET} --force --output m.bin", "--output copy", then=None),
    "an artifact elsewhere": State(
        "", f"{EXPLORE} get --version e0.1.0 --artifact ../m.bin", "--artifact models/production/model.bin", then=None
    ),
    "a folder where a checkout would be": State(
        "mkdir ../explore-e0.1.0", CHECKOUT, "mv PARENT/explore-e0.1.0 PARENT/explore-e0.1.0.old"
    ),
    "a checkout that is there": State(CHECKOUT, CHECKOUT, f"{EXPLORE} cleanup --version e0.1.0"),
    "a checkout that nobody made": State(
        "", f"{EXPLORE} cleanup --version e0.1.0", f"{EXPLORE} worktrees", then=None
    ),
    "a checkout with changes": State(
        f"{CHECKOUT} && echo >> ../explore-e0.1.0/README.md",
        f"{EXPLORE} cleanup",
        f"{EXPLORE} cleanup --version e0.1.0 --force",
        then=None,
    ),
    "in the checkout itself": State(
        CHECKOUT, f"cd ../explore-e0.1.0 && {EXPLORE} cleanup", "cd PROJECT", then=f"{EXPLORE} cleanup"
    ),
    "a download that exists": State(
        "touch m.bin", f"{MODELS} download --run-id {RUN} --output m.bin", "mv m.bin m.bin.old"
    ),
    "a model that is a link": State(
        "cp models/production/model.bin .. && ln -s ../model.bin link.bin",
        f"{MODELS} add-candidate --run-id {RUN} --model-path link.bin",
        "rm link.bin && cp -r PARENT/model.bin link.bin",
    ),
    "a candidate with other bytes": State(
        f"rm models/candidates/* && echo x > models/candidates/{RUN}_model.bin",
        f"{MODELS} add-candidate --run-id {RUN} --model-path models/production/model.bin",
        "dvc checkout --force models/candidates",
    ),
    "a run id that is no name of a file": State(
        """sqlite3 results/experiments.db "UPDATE metrics SET track_id = 'a b'" """,
        f"{MODELS} download --run-id 'a b' --output results",
        IDS,
        """sqlite3 results/experiments.db "UPDATE metrics SET track_id = 'a-b'" """,
        f"{MODELS} download --run-id a-b --output results",
    ),
    "no condition": State(
        "",
        f"{EXPLORE} list --where f1_score",
        "write it as in --where model_C=1.0 --where 'f1_score>=0.9'",
        f"{EXPLORE} list --where model_C=1.0 --where 'f1_score>=0.9'",
        None,
    ),
    "predictions under another name": State(
        f"cp results/predictions/{RUN}.parquet 'results/incoming/of my run.parquet'",
        MERGE,
        "mv 'PROJECT/results/incoming/of my run.parquet' PROJECT/results/incoming/RUN.parquet",
    ),
    "predictions of a run that is not here": State(
        parquet("results/incoming/no body.parquet", "SELECT 'no body' AS track_id, 1 AS item_id, 2 AS predicted"),
        MERGE,
        "rm 'PROJECT/results/incoming/no body.parquet'",
    ),
    "tags that were not fetched": State(
        "git clone --quiet --no-tags . ../clone",
        f"cd ../clone && {EXPLORE} get --version e0.1.0 --artifact README.md",
        "git fetch --tags",
        f"cd ../clone && git fetch --tags && {EXPLORE} get --version e0.1.0 --artifact README.md",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_a_remedy_around_results_works(state: str, tagged_original: Project, tmp_path: Path) -> None:
    go_through(copy_project(tagged_original, tmp_path), STATES[state])
