"""The report in a real browser, and its charts as pictures: what users see, choose, sort; what text of theirs must not do."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baked_projects import IDENTITY, Project, copy_project
from browser import Seen, of_network, open_browser, open_page
from playwright.sync_api import Browser
from typer.testing import CliRunner

from lineage.core.errors import BadInput
from lineage.extras.report import details
from lineage.extras.report.chart import read_file
from lineage.extras.report.commands import app
from lineage.extras.report.content import collect

pytestmark = pytest.mark.slow

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(2)> \"quoted\" ümlaut 🔢 {{7*7}} ${8*8}"
PARAM = "model_<b>\"k'"
METRIC = "<i>f1</i>'];alert(3)//"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def vega(baked: Project) -> str:
    """The scripts of Vega, made once for all projects of this file."""
    from lineage.extras.report.vega_script import VEGA, vega_script

    vega_script(baked.path)
    return (baked.path / VEGA).read_text("utf-8")


@pytest.fixture
def root(compiled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vega: str) -> Path:
    """A project without runs, in which the test is."""
    project = copy_project(compiled, tmp_path)
    (project.path / ".dvc/tmp").mkdir(exist_ok=True)
    (project.path / ".dvc/tmp/vega.js").write_text(vega, encoding="utf-8")
    monkeypatch.chdir(project.path)
    return project.path


def add_runs(root: Path, runs: list[dict[str, Any]], events: list[tuple[Any, ...]] = ()) -> None:  # type: ignore[assignment]
    """Write runs as the pipeline leaves them: a row each, what they logged, and their predictions if they have some."""
    facts = {
        "timestamp": "1",
        "test_hash": "7" * 32,
        "evaluate_hash": "e" * 32,
        "model_hash": "0" * 32,
        "f1_score": 0.5,
    }
    (root / "results/predictions").mkdir(parents=True, exist_ok=True)
    rows = []
    for run in runs:
        row = {**facts, "data_hash": "d" * 32, "code_hash": "c" * 32, **run}
        predicted = row.pop("predicted", None)
        actual = row.pop("actual", [1, 2, 3])
        if predicted is not None:
            frame = pd.DataFrame({"item_id": range(len(actual)), "actual": actual, "predicted": predicted})
            frame.assign(track_id=row["track_id"]).to_parquet(root / f"results/predictions/{row['track_id']}.parquet")
        rows.append(row)
    with sqlite3.connect(root / "results/experiments.db") as connection:
        pd.DataFrame(rows).to_sql("metrics", connection, index=False)
        connection.execute("CREATE TABLE events (track_id TEXT, timestamp TEXT, step INTEGER, loss REAL)")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", events)
    connection.close()


def type_command(*words: str | Path, code: int = 0) -> str:
    """What a command says that is typed in the project where the test is."""
    ended = CliRunner().invoke(app, list(map(str, words)))
    assert ended.exit_code == code, ended.output
    return ended.output


def show(browser: Browser, root: Path, **options: Any) -> Seen:
    """Write the report, open it, and wait until it can be used."""
    type_command("report")
    seen = open_page(browser, root / "report.html", **options)
    seen.page.wait_for_selector("html[data-ready]")
    return seen


def clean(seen: Seen) -> bool:
    """Whether nothing failed and nothing was asked of a network, until now."""
    seen.page.wait_for_timeout(300)
    assert seen.errors == [] and of_network(seen) == []
    return True


def first_column(seen: Seen, title: str) -> list[str]:
    """The cells of a column of the leaderboard, as they are shown."""
    titles = seen.page.locator("#runs thead").first.locator("th").all_inner_texts()
    place = [text.strip() for text in titles].index(title)
    rows = seen.page.locator("#runs tbody tr:not(.dtrg-group)").all()
    return [row.locator("td").nth(place).inner_text() for row in rows]


RUNS = [
    {"track_id": "best", "version": "e0.1.0", "model_C": 1.0, "f1_score": 0.9, "predicted": [1, 2, 3]},
    {"track_id": "second", "version": "e0.2.0", "model_C": 10.0, "f1_score": 0.8, "predicted": [1, 2, 1]},
    {"track_id": "third", "version": "e0.2.0", "model_C": 0.1, "f1_score": 0.7, "predicted": [3, 3, 1]},
    {"track_id": "other", "version": "e0.2.0", "model_C": 0.1, "f1_score": 0.99, "test_hash": "8" * 32},
    {"track_id": "failed", "version": "e0.2.0", "model_C": 0.2, "f1_score": None, "model_hash": None},
]


def test_runs_are_sorted_searched_and_chosen_and_only_like_is_ranked_with_like(root: Path, browser: Browser) -> None:
    add_runs(root, RUNS, [("best", str(step), step, 1 / (step + 1)) for step in range(5)])
    seen = show(browser, root)
    page = seen.page
    groups = page.locator("tr.dtrg-group").all_inner_texts()
    assert [re.sub("evaluation.*", "", group) for group in groups] == [
        "Measured on test data 777777, ",
        "Measured on test data 888888, ",
    ]
    assert list(zip(first_column(seen, "track_id"), first_column(seen, "rank"), strict=True)) == [
        ("best", "1"), ("second", "2"), ("third", "3"), ("failed", ""), ("other", "1"),
    ]  # fmt: skip
    page.get_by_role("columnheader", name="model_C").first.click()
    assert first_column(seen, "track_id") == ["third", "failed", "best", "second", "other"], (
        "sorted, each group for itself"
    )
    page.locator("#runs input[type=search]").fill("e0.2.0 second")
    assert first_column(seen, "track_id") == ["second"]
    page.locator("#runs input[type=search]").fill("")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="data", exact=True).click()
    page.keyboard.press("Escape")
    assert set(first_column(seen, "data")) == {"dddddd"}

    assert page.locator("#chosen").inner_text() == "Chosen: e0.1.0 best, e0.2.0 second"
    assert page.locator("#flips tbody tr").all_inner_texts() == ["2\t3\t3\t1\twrong now"]
    assert page.locator("#curves svg.marks").count() == 1 and page.locator("#cells svg.marks").count() == 2
    for track_id in ("best", "third"):  # one away, another one instead; by the keyboard
        page.locator("#runs tr", has_text=track_id).locator("input").focus()
        page.keyboard.press("Space")
    assert page.locator("#chosen").inner_text() == "Chosen: e0.2.0 second, e0.2.0 third"
    assert page.locator("#flips tbody tr").count() == 2
    assert page.locator("#differences tbody tr").all_inner_texts()[0].split("\t") == ["model_C", "10", "0.1", "-9.9"]
    assert "nothing to draw" in page.locator("#curves").inner_text()
    page.locator("#sweeps select").select_option("e0.2.0")
    texts = page.locator("#sweeps svg text").all_text_contents()
    assert {"0.1", "10", "0.7", "0.8"} <= set(texts), "real values stand beside the axes"
    assert clean(seen)


def test_text_of_users_is_text_wherever_it_stands(root: Path, browser: Browser) -> None:
    run = {"track_id": "r<b>1", "version": "e0.1.0", PARAM: EVIL, METRIC: 0.5, "predicted": [EVIL, "b", "c"]}
    other = {**run, "track_id": "r2", PARAM: "plain", METRIC: 0.25, "predicted": ["a", EVIL, "c"]}
    add_runs(
        root, [{**run, "actual": ["a", "b", EVIL]}, {**other, "actual": ["a", "b", EVIL]}], [("r<b>1", "1", 1, 0.5)]
    )
    kept = root / "results/artifacts/r2"
    kept.mkdir(parents=True)
    (kept / "<b>&.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="alert(4)"/>')
    (kept / "notes.txt").write_text("no picture")
    subprocess.run(
        ["git", "tag", "-a", "e0.1.0", "-m", EVIL, "--cleanup=verbatim"], check=True, env={**os.environ, **IDENTITY}
    )
    seen = show(browser, root)
    page = seen.page
    assert EVIL in page.locator("#tags").inner_text()
    assert EVIL in first_column(seen, PARAM)
    assert page.locator("#differences td", has_text=EVIL).count() == 1
    assert EVIL in page.locator("#flips").inner_text()
    page.locator("#versions select").select_option(METRIC)
    page.wait_for_function("document.querySelector('#files img').naturalWidth === 9")
    captions = page.locator("#files figcaption").all_inner_texts()
    assert captions[0].startswith("e0.1.0 r2: <b>&.svg, ") and captions[1] == "e0.1.0 r2: notes.txt, 10 bytes"
    assert page.locator("b, i, main img:not(#files img)").count() == 0, "no markup came of it"
    assert clean(seen)


def test_nothing_yet_one_run_and_numbers_that_are_none(root: Path, browser: Browser) -> None:
    seen = show(browser, root, width=390)
    assert "There are no runs yet: dvc repro" in seen.page.locator("#runs").inner_text()
    assert "None yet." in seen.page.locator("#chain").inner_text()
    assert clean(seen)
    add_runs(root, [{"track_id": "only", "version": "e0.1.0", "f1_score": float("inf"), "model_n": 2**60}])
    seen = show(browser, root, width=390, scheme="dark")
    assert first_column(seen, "f1_score") == ["inf"] and first_column(seen, "model_n") == [str(2**60)]
    assert "Choose two runs" in seen.page.locator("#differences").inner_text()
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390, "nothing sticks out of a phone"
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    seen.page.get_by_role("button", name="Light").click()
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert clean(seen)


def test_a_run_of_many_params_sticks_out_of_no_screen_and_each_can_be_shown(root: Path, browser: Browser) -> None:
    many = {f"model_layer_{number}_width": float(number) for number in range(80)}
    add_runs(root, [{"track_id": name, "version": "e0.1.0", **many, "f1_score": 0.5} for name in ("a", "b")])
    for width in (390, 1280):
        seen = show(browser, root, width=width)
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        assert first_column(seen, "model_layer_79_width") == ["79", "79"]
        assert clean(seen)


OKABE_ITO = "#E69F00 #56B4E9 #009E73 #F0E442 #0072B2 #D55E00 #CC79A7 #000000 #FFFFFF"
"""Colours that people tell apart whatever they are blind to (jfly.uni-koeln.de/color), with white for the dark."""


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it (w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("theme", "page"), [("light", "#ffffff"), ("dark", "#0d1117")])
def test_what_is_drawn_is_seen_by_the_colour_blind(theme: str, page: str) -> None:
    style = json.loads(read_file("themes.json"))[theme]
    colours = style["range"]["category"]
    assert set(colours) <= set(OKABE_ITO.split()) and len(set(colours)) == len(colours)
    for part, key, least in (("axis", "labelColor", 4.5), ("legend", "labelColor", 4.5), ("text", "color", 4.5)):
        darker, lighter = sorted((luminance(style[part][key]), luminance(page)))
        assert (lighter + 0.05) / (darker + 0.05) >= least, f"{part} on {page}"
    first_two = [sorted((luminance(colour), luminance(page))) for colour in colours[:2]]
    assert all((lighter + 0.05) / (darker + 0.05) >= 3 for darker, lighter in first_two), "lines and marks"


def test_a_regression_is_drawn_as_points(root: Path, browser: Browser) -> None:
    actual = [number / 7 for number in range(100)]
    add_runs(root, [
        {"track_id": name, "version": "e0.1.0", "actual": actual, "predicted": [value + place / 10 for value in actual]}
        for place, name in enumerate(("a", "b"))
    ])  # fmt: skip
    content = collect(root)
    assert len(content["cells"]["rows"]) == 200 and len(content["items"]["rows"]) == 200
    seen = show(browser, root)
    assert seen.page.locator("#cells svg .mark-symbol path").count() == 200
    assert "100 entries" in seen.page.locator("#flips").inner_text()
    assert clean(seen)


def test_what_is_too_much_for_a_page_is_left_out_and_the_page_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_runs(root, RUNS)
    monkeypatch.setattr(details, "MOST_PREDICTIONS", 6)
    content = collect(root)
    assert {row[0] for row in content["cells"]["rows"]} == {0, 1}, "the best of each version"
    assert content["notes"]["cells"].startswith("Predictions of 2 of 5 runs are in this page")
    assert {row[0] for row in collect(root, ["third"])["cells"]["rows"]} == {0, 2}, "who is asked for comes first"
    with pytest.raises(BadInput, match="'nobody' is no run of results/experiments") as refused:
        collect(root, ["nobody"])
    typed = str(refused.value.remedy).replace("python", sys.executable)
    listed = subprocess.run(typed.split(), cwd=root, capture_output=True, text=True, check=True).stdout
    assert " third " in listed and collect(root, ["third"])


def test_equal_results_are_equal_bytes(root: Path) -> None:
    add_runs(root, RUNS)
    for name in ("a.html", "b.html"):
        type_command("report", "--output", name)
    assert (root / "a.html").read_bytes() == (root / "b.html").read_bytes()


def test_charts_are_pictures_too(root: Path) -> None:
    add_runs(root, RUNS, [("third", str(step), step, 0.5) for step in range(3)])
    for chart in ("versions", "sweeps", "confusion"):
        type_command("plot", chart, "--output", "f1.png")
        assert (root / "f1.png").read_bytes().startswith(b"\x89PNG")
    type_command("plot", "curves", "loss", "--output", "f1.svg", "--run", "third")
    assert ">third</text>" in (root / "f1.svg").read_text("utf-8")
    type_command("plot", "versions", "f1_score", "-o", "f1.svg")
    assert ">e0.2.0</text>" in (root / "f1.svg").read_text("utf-8")
    for words, problem in (
        (("curves", "--run", "best"), "there is nothing to draw as curves yet"),
        (("versions", "f2"), "'f2' is not drawn; there is: f1_score"),
        (("versions", "--output", "f1.gif"), "f1.gif is neither a .png nor a .svg"),
    ):
        assert type_command("plot", *words, code=2) == f"error: {problem}\n"


def test_a_real_project_shows_where_production_comes_from(light_trained: Project, vega: str, browser: Browser) -> None:
    project = light_trained
    (project.path / ".dvc/tmp").mkdir(exist_ok=True)
    (project.path / ".dvc/tmp/vega.js").write_text(vega, encoding="utf-8")
    assert project.script("experiment_explorer", "report").startswith("wrote report.html: 1 runs, ")
    assert project.git("status", "--porcelain") == "", "it is not committed by accident"
    card = json.loads((project.path / "models/production/model.json").read_text())
    seen = open_page(browser, project.path / "report.html")
    seen.page.wait_for_selector("html[data-ready]")
    chain = [line.split("\t") for line in seen.page.locator("#chain tbody tr").all_inner_texts()]
    links = {line[0]: line[1:] for line in chain}
    assert links["model"] == ["models/production/model.bin", card["model_hash"], "as it lies here"]
    assert links["run"][0] == card["track_id"] and links["code"][1] == card["git_commit"]
    assert links["training data"][1:] == [card["data_hash"], "as it lies here"]
    assert links["merged from"][0] == "data/incoming/batch_001.parquet"
    assert "promoted" in seen.page.locator("#versions svg text").all_text_contents(), "its run is marked"
    assert clean(seen)

    project.run("make", "plots")
    seen = open_page(browser, project.path / "dvc_plots/index.html")
    seen.page.wait_for_selector("canvas, svg")
    assert clean(seen), "dvc plots show needs no network once the scripts of Vega are here"


def test_a_pull_request_gets_a_picture_without_data_and_remote(light_trained: Project, tmp_path: Path) -> None:
    import yaml

    light_trained.git("tag", "e0.1.0")
    light_trained.set_param("experiment.version", "e0.2.0")
    light_trained.commit("next")
    clone = Project(tmp_path / "clone", light_trained.environment)
    light_trained.git("clone", "--quiet", str(light_trained.path), str(clone.path))
    light_trained.git("init", "--quiet", "--bare", str(tmp_path / "github"))
    workflow = yaml.safe_load((clone.path / ".github/workflows/checks.yml").read_text("utf-8"))
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["metrics"]["steps"] if "name" in step}
    variables = {"PULL_REQUEST": "7", "REPOSITORY": "https://github.com/o/r", "PUSH_TO": str(tmp_path / "github")}
    for name in ("draw the metric over versions", "keep the picture in a branch of its own"):
        clone.run("bash", "-e", "-c", steps[name], **variables)
    commit = clone.git("--git-dir", str(tmp_path / "github"), "rev-parse", "pictures/pull-7")
    line = f"![The metric over versions](https://github.com/o/r/blob/{commit}/versions.png?raw=true)\n"
    assert (clone.path / "report.md").read_text() == line
    shown = subprocess.run(
        ["git", "--git-dir", tmp_path / "github", "show", f"{commit}:versions.png"], capture_output=True, check=True
    )
    assert shown.stdout == (clone.path / "versions.png").read_bytes() and shown.stdout.startswith(b"\x89PNG")
    clone.script("experiment_explorer", "plot", "versions", "-o", "v.svg")
    assert {">e0.1.0</text>", ">e0.2.0</text>"} <= set(
        re.findall(r">e0[^<]*</text>", (clone.path / "v.svg").read_text())
    )
