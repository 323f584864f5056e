"""Twelve versions over three data sets: listed, shown, compared, proved."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import Project, copy_project
from versions_project import VERSIONS, Versions, written

from lineage.core.errors import BadInput
from lineage.extras.compare.data import compare_data
from lineage.extras.compare.difference import change
from lineage.tracked import recorded as records
from lineage.tracked import remote as objects
from lineage.tracked.cache import object_path

pytestmark = pytest.mark.slow


def explore(project: Project, *arguments: str, code: int = 0) -> Any:
    """Run a command of the explorer; parse the JSON that it prints."""
    return json.loads(
        project.run("python", "scripts/experiment_explorer.py", *arguments, "--format", "json", code=code).stdout
    )


def diff(project: Project, left: str, right: str, *arguments: str) -> dict[str, dict[str, list[Any]]]:
    """What differs, by section and name: v1, v2, delta, percent."""
    found: dict[str, dict[str, list[Any]]] = {}
    for row in explore(project, "diff", "--v1", left, "--v2", right, *arguments):
        found.setdefault(row["section"], {})[row["name"]] = [row[key] for key in ("v1", "v2", "delta", "percent")]
    return found


def test_the_list_has_every_version_once_by_number_with_its_metrics(versions: Versions) -> None:
    listed = json.loads(versions.project.run("python", "scripts/version_tag.py", "--list", "--format", "json").stdout)
    assert [row["version"] for row in listed] == list(VERSIONS)
    for row in listed:
        seen = versions.seen[row["version"]]
        assert {name: row[name] for name in ("f1_score", "accuracy", "log_loss")} == json.loads(
            seen["results/metrics.json"]
        )
        assert (
            f"f1_score={row['f1_score']:.4f} | data={hashlib.md5(seen['data/train.parquet']).hexdigest()[:6]} | "
            in (row["description"])
        )
    described = {row["version"]: row["description"] for row in listed}
    assert described["e0.1.0"].startswith("model=logistic_regression | C=1.0 | max_iter=1000 | f1_score=")
    assert described["e0.2.0"].startswith("model=logistic_regression | C=0.3 | f1_score=")
    assert described["e0.3.0"].startswith("model=logistic_regression | f1_score=")
    assert described["e0.2.0"].endswith(" | C=0.3, as a try")


def test_runs_are_filtered_and_sorted_and_a_loss_ascends(versions: Versions) -> None:
    project = versions.project
    runs = explore(project, "list")
    assert len(runs) == 6 and [run["f1_score"] for run in runs] == sorted(
        (run["f1_score"] for run in runs), reverse=True
    )
    losses = [run["log_loss"] for run in explore(project, "list", "--sort", "log_loss")]
    assert losses == sorted(losses)
    assert [run["version"] for run in explore(project, "list", "--where", "model_C=0.01")] == ["e1.10.0"]
    assert [
        run["version"] for run in explore(project, "list", "--where", "model.C=1e-2", "--where", "f1_score>0.5")
    ] == ["e1.10.0"]
    found = {run["version"] for run in explore(project, "list", "--where", "version!=e1.10.0")}
    assert found == {written(version) for version in VERSIONS} - {"e1.10.0"}
    assert explore(project, "list", "--where", "log_loss=NULL") == []
    assert explore(project, "list", "--sort", "log_loss", "--mode", "max", "--limit", "1")[0]["log_loss"] == losses[-1]
    table = project.run("python", "scripts/experiment_explorer.py", "list", "--limit", "2", "--format", "csv").stdout
    assert [row["track_id"] for row in csv.DictReader(io.StringIO(table))] == [run["track_id"] for run in runs[:2]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--where", "1=1 OR 1=1"], "'1' is not a column of metrics"),
        (["--where", "version='; DROP TABLE metrics; --"], None),
        (["--where", 'f1_score"=1'], "is not a condition"),
        (["--where", "f1_score=good"], "f1_score holds numbers, and 'good' is none"),
        (["--where", "version>e0.2.0"], "version holds text, which can be = or != only"),
        (["--where", "modelC=1"], "'modelC' is not a column of metrics; it has: model_C"),
        (["--sort", 'f1_score" DESC; DROP TABLE metrics; --'], "is not in experiments.db; it has: f1_score"),
        (["--sort", "f1'score"], "is not in experiments.db; it has: f1_score"),
    ],
)
def test_hostile_conditions_and_metrics_are_refused_or_find_nothing(
    versions: Versions, arguments: list[str], words: str | None
) -> None:
    before = (versions.project.path / "results/experiments.db").read_bytes()
    if words is None:
        assert explore(versions.project, "list", *arguments) == []
    else:
        done = versions.project.run("python", "scripts/experiment_explorer.py", "list", *arguments, code=2)
        assert words in done.stderr and "Traceback" not in done.stderr
    assert (versions.project.path / "results/experiments.db").read_bytes() == before


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_shows_its_tag_run_and_artifacts(versions: Versions, version: str) -> None:
    rows = explore(versions.project, "show", "--version", version)
    shown = {section: {row["name"]: row["value"] for row in rows if row["section"] == section} for section in
             ("tag", "run", "params", "metrics", "artifacts")}  # fmt: skip
    seen = versions.seen[version]
    assert shown["tag"]["commit"] == versions.project.git("rev-parse", f"{version}^{{commit}}")
    assert shown["metrics"] == json.loads(seen["results/metrics.json"])
    assert shown["run"]["data_hash"] == hashlib.md5(seen["data/train.parquet"]).hexdigest()
    assert f"results/runs/{shown['run']['track_id']}.db" in seen
    assert shown["run"]["version"] == written(version)
    assert shown["run"]["runs"] == (2 if version.startswith("e1.10.") else 1)
    assert shown["artifacts"]["data/train.parquet"] == shown["run"]["data_hash"]
    assert float(shown["params"]["C"]) in (1.0, 0.3, 0.03, 0.01)


def test_diff_names_params_metrics_flips_and_code(versions: Versions) -> None:
    found = diff(versions.project, "e0.1.0", "e0.2.0", "--limit", "400")
    assert found["params"] == {"C": [1.0, 0.3, -0.7, pytest.approx(-70)]}
    before, after = (json.loads(versions.seen[version]["results/metrics.json"]) for version in ("e0.1.0", "e0.2.0"))
    for name, (left, right, delta, percent) in found["metrics"].items():
        assert (left, right) == (before[name], after[name])
        assert delta == right - left and percent == pytest.approx((right / left - 1) * 100)
    assert "data/train.parquet: rows" not in found["data"], "the data are the same"

    flips = {}
    predictions = []
    for version in ("e0.1.0", "e0.2.0"):
        seen = versions.seen[version]
        [track_id] = [Path(name).stem for name in seen if name.startswith("results/runs/") and name.endswith(".db")]
        predictions.append(pd.read_parquet(io.BytesIO(seen[f"results/predictions/{track_id}.parquet"])))
    items = pd.read_parquet(versions.project.path / "data/test.parquet")["id"]
    for item, left, right in zip(items, predictions[0]["predicted"], predictions[1]["predicted"], strict=True):
        if left != right:
            flips[f"item {item}"] = [left, right, None, None]
    assert len(flips) > 0
    assert found["predictions"].pop("items in both") == [360, 360, None, None]
    assert found["predictions"].pop("flipped") == [None, len(flips), None, None]
    assert found["predictions"] == flips
    assert found["code"]["params.yaml"][:2] == ["-2", "+2"] and "experiment.py" not in found["code"]


def test_diff_counts_rows_of_data_added_removed_and_changed(versions: Versions) -> None:
    grown = diff(versions.project, "e0.2.0", "e0.3.0")["data"]
    assert grown["data/train.parquet: rows"] == [537, 987, 450, pytest.approx(450 / 537 * 100)]
    assert [grown[f"data/train.parquet: rows {what}"][1] for what in ("added", "removed", "changed")] == [450, 0, 0]
    corrected = diff(versions.project, "e0.3.2", "e1.0.0")["data"]
    assert [corrected[f"data/train.parquet: rows {what}"][1] for what in ("added", "removed", "changed")] == [0, 0, 3]
    assert corrected["data/train.parquet: rows"] == [987, 987, 0, 0.0]
    back = diff(versions.project, "e1.0.0", "e0.1.0")
    assert [back["data"][f"data/train.parquet: rows {what}"][1] for what in ("added", "removed", "changed")] == [
        0,
        450,
        2,
    ]
    assert "experiment.py" in back["code"]


def test_diff_of_equal_versions_is_zero_not_null(versions: Versions) -> None:
    found = diff(versions.project, "e0.1.0", "e0.1.1")
    assert all(values[2:] == [0, 0] for values in found["metrics"].values()) and len(found["metrics"]) == 3
    assert found["predictions"] == {"items in both": [360, 360, None, None], "flipped": [None, 0, None, None]}
    assert "params" not in found
    assert found["code"]["README.md"][:2] == ["-0", "+1"]
    table = versions.project.script("experiment_explorer", "diff", "--v1", "e0.1.0", "--v2", "e0.1.1", "--format", "md")
    line = next(line for line in table.splitlines() if "f1_score" in line)
    assert line.endswith("| +0 | +0.00 % |")


def test_changes_of_numbers_know_zero_and_null() -> None:
    assert change(0.0, 0.0) == (0.0, 0.0)
    assert change(0.0, 0.5) == (0.5, None)
    assert change(-2, -1) == (1, 50.0)
    assert change(None, 1.0) == change(1.0, None) == change("a", 1) == (None, None)
    assert change(float("inf"), 1.0) == (None, None)


def test_data_compare_with_null_keys_other_types_and_other_columns(tmp_path: Path) -> None:
    left, right = tmp_path / "it's.parquet", tmp_path / 'the "other".parquet'
    pd.DataFrame({"id": [1, 2, None], "x": [1, 2, 3], "t": ["a", "b", "c"], "old": [0, 0, 0]}).to_parquet(left)
    pd.DataFrame({"id": [1, 2, None, 4], "x": [1.0, 2.5, 3.0, 4.0], "t": ["a", "b", "c", "d"]}).to_parquet(right)
    found = compare_data(left, right, ["id"])
    assert found == {
        "rows": (3, 4),
        "rows added": (None, 1),
        "rows removed": (None, 0),
        "rows changed": (None, 1),
        "column x": ("BIGINT", "DOUBLE"),
        "column old": ("BIGINT", None),
    }
    assert compare_data(left, left, [])["rows changed"] == (None, 0)
    assert compare_data(left, right, ["nobody"])["rows added"] == (None, 2), "without keys: whole rows"
    right.write_bytes(b"no parquet")
    with pytest.raises(BadInput, match="DuckDB cannot read the data: "):
        compare_data(left, right, ["id"])


def test_versions_without_tag_are_compared_by_their_rows(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path)
    project.git("tag", "--delete", "e0.1.0", "e0.2.0")
    found = diff(project, "e0.1.0", "e0.2.0")
    assert found["params"]["C"][:2] == [1.0, 0.3] and found["data"].keys() == {
        "data/train.parquet",
        "data/test.parquet",
    }
    assert found["code"]["params.yaml"][:2] == ["-2", "+2"]
    with sqlite3.connect(tmp_path / "rogue.db") as rogue:
        rogue.execute("ATTACH ? AS base", (str(project.path / "results/experiments.db"),))
        rogue.execute("CREATE TABLE metrics AS SELECT * FROM base.metrics")
        rogue.execute(
            "UPDATE metrics SET git_commit = '--output=stolen', data_hash = '../../etc/passwd', f1_score = NULL"
        )
    found = diff(project, "e0.1.0", "e0.2.0", "--db", str(tmp_path / "rogue.db"))
    assert "not in this clone (git fetch --unshallow)" in found["code"] and not (project.path / "stolen").exists()
    assert found["metrics"]["f1_score"] == [None, None, None, None]
    done = project.run("python", "scripts/experiment_explorer.py", "show", "--version", "e0.9.0", code=1)
    assert done.stderr.startswith(f"error: {project.path}/results/experiments.db has no such run of e0.9.0\n  → python")
    listed = project.run("bash", "-ec", done.stderr.partition("→ ")[2]).stdout
    assert " e0.3.0 " in listed and "e0.9.0" not in listed


# --- Proof -----------------------------------------------------------------------------------------------------------


def proof(project: Project, *arguments: str, code: int = 0) -> dict[str, dict[str, str]]:
    return {row["version"]: row for row in explore(project, "verify", *arguments, code=code)}


def test_everything_holds_at_every_version(versions: Versions) -> None:
    found = proof(versions.project, "--all")
    assert list(found) == list(VERSIONS)
    for row in found.values():
        assert set(row.values()) == {row["version"], "yes", None} and row["problem"] is None


def test_what_is_broken_is_named_link_by_link(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path)
    remote = tmp_path / "digit-experiments-remote/files/md5"
    old, new = (records.recorded_outputs(project.path, version) for version in ("e0.1.0", "e1.0.0"))

    md5 = old["models/production"]
    (remote / md5[:2] / md5[2:]).unlink()
    row = proof(project, "--version", "e0.1.0", code=1)["e0.1.0"]
    assert row["remote"] == "no" and row["problem"] == "remote: 1 objects are not there, as models/production"

    place = object_path(project.path, md5)
    place.unlink()
    row = proof(project, "--version", "e0.1.0", code=1)["e0.1.0"]
    assert (
        row["cache"] == row["remote"] == "no" and "cache: 1 objects are nowhere, as models/production" in row["problem"]
    )

    place = object_path(project.path, new["data/train.parquet"])
    whole = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(whole[:-1])
    row = proof(project, "--version", "e1.0.0", code=1)["e1.0.0"]
    assert row["md5"] == "no" and row["cache"] == "yes"
    assert objects.obtain(project.path, new["data/train.parquet"]).read_bytes() == whole
    assert proof(project, "--version", "e1.0.0")["e1.0.0"]["md5"] == "yes"
    assert proof(project, "--all", code=1)["e1.10.0"]["problem"] is None


def test_code_or_rows_that_are_not_those_that_ran_are_found(versions: Versions, tmp_path: Path) -> None:
    project = copy_project(versions.project, tmp_path)
    with (project.path / "experiment.py").open("a", encoding="utf-8") as file:
        file.write("\n# after the run\n")
    project.commit("edit")
    project.git("tag", "-a", "-m", "by hand", "e2.0.0")
    row = proof(project, "--version", "e2.0.0", code=1)["e2.0.0"]
    assert row["code"] == "no" and "experiment.py is not what dvc.lock says ran" in row["problem"]

    project.git("reset", "--quiet", "--hard", "HEAD~1")
    project.set_param("experiment.version", "e3.0.0")
    project.commit("no run")
    project.git("tag", "-a", "-m", "by hand", "e3.0.0")
    row = proof(project, "--version", "e3.0.0", code=1)["e3.0.0"]
    assert row["code"] == "no" and "train ran with experiment.version: e1.10.0, and params.yaml says" in row["problem"]

    project.git("rm", "--quiet", "dvc.lock")
    project.commit("without lock")
    project.git("tag", "-a", "-m", "by hand", "e4.0.0")
    row = proof(project, "--version", "e4.0.0", code=1)["e4.0.0"]
    assert row["dvc.lock"] == "no" and row["row"] == "no"
    shutil.rmtree(tmp_path / "digit-experiments-remote")
    assert "e0.1.0" in proof(project, "--version", "e0.1.0", code=1)
