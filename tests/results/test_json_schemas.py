"""What commands print as JSON is what the schemas in the project's docs say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from baked_projects import SOURCE
from jsonschema import Draft202012Validator, ValidationError
from versions_project import Versions

from lineage.core.errors import Refused
from lineage.extras.git_merge.conflicts import print_conflicts, refuse_conflicts
from lineage.extras.git_merge.three_way import Conflict

SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((SOURCE / "docs/schemas").glob("*.json"))}

BOTH = ["--base-db", "results/experiments.db", "--exp-db", "results/runs", "--output-db", "results/experiments.db"]
COMMANDS = {
    "list": ["experiment_explorer", "list"],
    "show": ["experiment_explorer", "show", "--version", "e0.2.0"],
    "diff": ["experiment_explorer", "diff", "--v1", "e0.1.0", "--v2", "e1.0.0"],
    "evaluate": ["experiment_explorer", "evaluate"],
    "verify": ["experiment_explorer", "verify", "--all"],
    "worktrees": ["experiment_explorer", "worktrees"],
    "versions": ["version_tag", "--list"],
    "models": ["model_manager", "list"],
    "model": ["model_manager", "info"],
    "merge": ["merge_artifacts", "--strategy", "merge", "--dry-run", *BOTH],
}


def check(name: str, printed: str) -> Any:
    """Read what was printed, and hold it against a schema."""
    found = json.loads(printed)
    Draft202012Validator(SCHEMAS[name]).validate(found)
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_says_its_version(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert re.fullmatch(rf"urn:lineage:{name}:[1-9]\d*", SCHEMAS[name]["$id"])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_schema_is_held_and_named_to_agents() -> None:
    assert {*COMMANDS, "conflicts"} == set(SCHEMAS)
    page = (SOURCE / "AGENTS.md").read_text("utf-8")
    assert set(re.findall(r"docs/schemas/(\w+)\.json", page)) == set(SCHEMAS)


def test_what_commands_print_is_what_their_schema_says(versions: Versions) -> None:
    project = versions.project
    found = {}
    for name, (script, *words) in COMMANDS.items():
        done = project.run("python", f"scripts/{script}.py", *words, "--format", "json")
        found[name] = check(name, done.stdout)
    assert {row["version"] for row in found["list"]} == {"e0.1.0", "e0.2.0", "e0.3.0", "e1.0.0", "e1.10.0"}
    assert all(re.fullmatch("[0-9a-f]{32}", row["data_hash"]) for row in found["list"])
    assert [row["version"] for row in found["versions"]] == list(versions.seen)
    assert {row["section"] for row in found["diff"]} == {"params", "metrics", "data", "predictions", "code"}
    assert {row["cache"] for row in found["verify"]} == {"yes"} and len(found["verify"]) == 12
    assert found["model"]["track_id"] in [row["track_id"] for row in found["models"]]
    assert next(plan["name"] for plan in found["merge"]["plans"]) == "metrics"
    assert found["worktrees"] == []


def test_conflicts_are_what_their_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [Conflict("metrics", "track_id=a", "f1_score", 0.5, 0.6, None)]
    with pytest.raises(Refused, match="cells with two values, 1 in all"):
        refuse_conflicts(tmp_path, cells, way_out="\n  → dvc repro")
    print_conflicts(tmp_path, "json")
    assert check("conflicts", capsys.readouterr().out) == [cells[0]._asdict()]


def test_another_output_is_found() -> None:
    with pytest.raises(ValidationError, match="'data_hash' is a required property"):
        check("list", '[{"version": "e0.1.0", "track_id": "a", "test_hash": null}]')
