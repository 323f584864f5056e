"""What the documentation says is what happens: its commands are run as they stand, its names and links are looked up."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from baked_projects import SOURCE, TEMPLATE, Project
from messages import ERRORS, WARNINGS, is_said_by, messages_of
from pages import FENCED, Block, blocks, targets
from project_content import card, newest_metrics

DOCS = (
    "quickstart",
    "report",
    "workflows",
    "runs",
    "search",
    "cluster",
    "scale",
    "python",
    "validation",
    "tracking",
    "merge-rebase",
    "models",
    "dvc-setup",
    "data_versioning",
    "parts",
    "formats",
    "use-cases",
    "experiment",
    "examples",
    "versions",
    "worktrees",
    "updating",
    "extras",
    "troubleshooting",
)
PAGES = ("README.md", "AGENTS.md", *(f"docs/{name}.md" for name in DOCS))
FRESH = {"README.md": "fresh", "AGENTS.md": "fresh", "docs/quickstart.md": "fresh", "docs/examples.md": "fresh"}
"""Pages that begin in a project as it was baked."""

OF_THE_SAMPLE = {f"docs/{name}.md": "trained" for name in ("experiment", "tracking")}
"""Pages that change the sample's code. The others say the same of every experiment, also of one that takes no time."""

BETTER_WITH_MORE_DATA = {f"docs/{name}.md": "weak_trained" for name in ("models", "versions", "use-cases", "worktrees")}

BEGIN = dict.fromkeys(PAGES, "light_trained") | FRESH | OF_THE_SAMPLE | BETTER_WITH_MORE_DATA
"""In which project each page begins: a fixture. In all but the fresh ones the first results are committed."""

TEMPLATE_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md")

LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
SCRIPT = re.compile(r"""scripts/(?P<name>\w+)\.py(?P<rest>(?:"[^"\n]*"|[^\n`#|;>\\"]|\\\n)*)""")
MAKE = re.compile(r"\bmake (?P<target>[a-z][a-z-]*)")


def code_of(text: str) -> Iterator[str]:
    """Everything on a page that is written as code: fenced blocks and spans."""
    yield from (block.text for block in blocks(text))
    yield from re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def read(project: Project, page: str) -> str:
    return (project.path / page).read_text(encoding="utf-8")


def follow(project: Project, page: str, **environment: str) -> None:
    """Type the ```bash blocks of a page, in order, each in a shell of its own at the project's root.

    A block ```output is what the block before it prints, among other lines; `…` stands for anything.
    VENV leads `make setup` to the environment that runs these tests, so that no package is installed. PYTHONPATH stands for
    what it copies there, for pages that do not begin with it.
    """
    site = project.path.parent / "site"
    site.mkdir(exist_ok=True)
    shutil.copyfile(project.path / "scripts/lineage/extras/access/import_lineage.py", site / "lineage.py")
    printed = None
    for block in blocks(read(project, page)):
        if block.language == "output":
            assert printed
            for line in block.text.splitlines():
                pattern = ".*".join(re.escape(piece) for piece in line.split("…"))
                assert re.search(f"^{pattern}", printed, re.MULTILINE), f"{page}: {line!r} is not in\n{printed}"
        if block.language != "bash":
            continue
        command = ("bash", "-euo", "pipefail", "-c", block.text)
        done = project.run(*command, code=block.code, VENV=sys.prefix, PYTHONPATH=str(site), **environment)
        printed = done.stdout + done.stderr
        for text in block.texts:
            assert text in printed, f"{page}: {text!r} is not in the output of\n{block.text}\n---\n{printed}"
    assert printed is not None, f"{page} has no commands"


def test_expectations_are_read_as_written() -> None:
    page = '<!-- expect: exit 2, "one" "two: 2" -->\n```bash\nfalse\n```\n\n```console\n$ x\n```\n'
    assert blocks(page) == [Block("bash", "false\n", 2, ["one", "two: 2"]), Block("console", "$ x\n")]


def test_every_expectation_stands_before_a_bash_block(baked: Project) -> None:
    for page in PAGES:
        text = read(baked, page)
        used = [match for match in FENCED.finditer(text) if match["expect"] and match["language"] == "bash"]
        assert text.count("<!-- expect") == len(used), page


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_works(page: str, request: pytest.FixtureRequest, mypy_cache: dict[str, str]) -> None:
    follow(request.getfixturevalue(BEGIN[page]), page, **mypy_cache)


@pytest.mark.slow
def test_the_regression_example_learns_and_respects_that_lower_is_better(fresh: Project) -> None:
    fresh.run("make", "example", "NAME=regression")
    fresh.repro()
    good = newest_metrics(fresh)
    assert sorted(good) == ["mae", "r2", "rmse"]
    assert 40 < good["rmse"] < 70 and 30 < good["mae"] < good["rmse"] and 0.3 < good["r2"] < 0.7
    incumbent = card(fresh)
    assert incumbent["metrics"] == good and incumbent["params"] == {"model_alpha": 1.0}

    fresh.set_param("model.alpha", 100000)
    said = fresh.repro()
    worse = newest_metrics(fresh)
    assert worse["rmse"] > good["rmse"] + 5
    assert f"production: {incumbent['track_id']} stays; " in said
    assert card(fresh)["model_hash"] == incumbent["model_hash"]
    listed = json.loads(fresh.run("python", "scripts/experiment_explorer.py", "list", "--format", "json").stdout)
    assert [row["rmse"] for row in listed] == [good["rmse"], worse["rmse"]], "best first means smallest first"


@pytest.mark.slow
def test_plots_of_the_page_have_something_to_draw(trained: Project) -> None:
    """A version is no number: DVC's own line templates draw an empty frame for it."""
    page = json.loads(trained.run("dvc", "plots", "show", "--json").stdout)
    assert not page.get("errors"), "DVC takes every file called dvc.yaml for a pipeline, also one in examples/"
    assert page["data"].pop("Learning curves") == [], "the sample logs nothing, and its empty plot is left out"
    drawn = {name: plots[0]["content"] for name, plots in page["data"].items()}
    assert list(drawn) == ["Confusion of the newest best run", "Metric over versions", "Newest sweep"]
    versions = drawn["Metric over versions"]
    assert versions["encoding"]["x"] == {"field": "version", "type": "ordinal", "sort": None, "title": "version"}
    assert [row["version"] for row in versions["data"]["values"]] == ["e0.1.0"]
    assert float(versions["data"]["values"][0]["f1_score"]) == newest_metrics(trained)["f1_score"]
    confusion = drawn["Confusion of the newest best run"]["data"]["values"]
    assert set(confusion[0]) == {"actual", "predicted", "count", "rev"}
    assert sum(int(cell["count"]) for cell in confusion) == 360


@pytest.mark.parametrize("page", [*PAGES, "examples/README.md"])
def test_every_relative_link_leads_somewhere(baked: Project, page: str) -> None:
    check_links(baked.path / page)


@pytest.mark.parametrize("page", TEMPLATE_PAGES)
def test_every_relative_link_of_the_template_leads_somewhere(page: str) -> None:
    check_links(TEMPLATE / page)


def check_links(page: Path) -> None:
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = page.parent / unquote(target) if target else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page.name} links to {match['target']}"


def test_the_readme_leads_to_every_page(baked: Project) -> None:
    readme = read(baked, "README.md")
    for name in DOCS:
        assert f"](docs/{name}.md)" in readme, name
    assert {path.stem for path in (baked.path / "docs").glob("*.md")} == set(DOCS)


def test_the_readme_is_one_screen(baked: Project) -> None:
    assert len(read(baked, "README.md").splitlines()) <= 70


def test_the_tree_of_the_readme_is_what_lies_there(baked: Project) -> None:
    """A path of the tree is in a fresh project, or is an output of the stage that the tree names."""
    stages = yaml.safe_load(read(baked, "dvc.yaml"))["stages"]
    outputs = {path: stage for stage in stages for path in stage_outputs(stages[stage])}
    [tree] = [block.text for block in blocks(read(baked, "README.md")) if block.language == "text"]
    top, scripts = tree.split("scripts/  ")
    lines = [line.split() for line in top.splitlines() if line]
    assert {words[0].rstrip("/") for words in lines} >= {*outputs} - {"models/trained", "models/candidates"} - PLOTTED
    for path, *words in lines:
        owner = outputs.get(path.rstrip("/"))
        assert words[0].startswith("YOURS") == (owner is None), path
        if owner is None:
            assert (baked.path / path).exists(), path
        else:
            assert " ".join(words).startswith(f"written by {owner}:"), path
    for name in re.findall(r"\b\w+\.py\b", scripts.replace("__init__.py", "")):
        assert (baked.path / "scripts" / name).is_file(), name
    for stage in stages:
        assert f"{stage}.py" in scripts
    rooms = scripts.partition("__init__.py")[2]
    assert set(re.findall(r"(\w+)/", rooms)) == {path.parent.name for path in baked.path.glob("scripts/lineage/*/*.py")}


PLOTTED = {f"results/plots/{name}.csv" for name in ("confusion", "curves", "sweep", "versions")}


def stage_outputs(stage: dict[str, list[str | dict[str, object]]]) -> Iterator[str]:
    """The paths of a stage's outputs and metrics, with and without options."""
    for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
        yield from [out] if isinstance(out, str) else out


def test_what_an_update_of_the_template_reruns_is_what_the_pages_say(baked: Project) -> None:
    for name, stage in yaml.safe_load(read(baked, "dvc.yaml"))["stages"].items():
        code = [path for path in stage["deps"] if path.startswith("scripts/")]
        assert bool(code) == (name != "train"), f"{name} depends on {code}; docs/workflows.md says which stages rerun"


def test_docs_name_no_table_of_predictions(baked: Project) -> None:
    """They are files; a query of a table would fail, except where `lineage.sql` makes a relation of them."""
    for page in PAGES:
        for code in code_of(read(baked, page)):
            assert "lineage.sql" in code or not re.search(r"(FROM|JOIN) predictions\b", code), page


@pytest.mark.slow
def test_every_option_of_a_script_exists(baked: Project) -> None:
    helps: dict[str, str] = {}
    mentioned = 0
    for page in PAGES:
        for match in (found for code in code_of(read(baked, page)) for found in SCRIPT.finditer(code)):
            words = shlex.split(match["rest"].replace("\\\n", " "))
            command = [f"scripts/{match['name']}.py", *words[: bool(words and re.fullmatch("[a-z][a-z-]*", words[0]))]]
            key = " ".join(command)
            if key not in helps:
                helps[key] = baked.run("python", *command, "--help", COLUMNS="200").stdout
            if words == ["--version"]:  # alone it names the template, of every command: tests/core/test_flags.py
                continue
            for option in (word for word in words if word.startswith("--")):
                mentioned += 1
                assert re.search(rf"{option}\b", helps[key]), f"{page}: {key} has no {option}"
    assert mentioned >= 10


def test_every_option_of_a_merge_by_hand_is_explained(baked: Project) -> None:
    page = read(baked, "docs/merge-rebase.md")
    options = set(re.findall(r"--[a-z-]+", baked.script("merge_artifacts", "--help", COLUMNS="200")))
    of_all_commands = {"--quiet", "--verbose", "--debug"}
    for option in options - of_all_commands - {"--help"}:
        assert f"`{option}`" in page, option
    for option in of_all_commands:
        assert f"`{option}`" in read(baked, "docs/workflows.md").partition("## Options of every command")[2], option


def test_every_key_of_params_is_explained(baked: Project) -> None:
    params = yaml.safe_load(read(baked, "params.yaml"))
    table = read(baked, "docs/workflows.md").partition("## All keys")[2]
    keys = [f"{section}.{key}" for section, values in params.items() for key in values]
    assert len(keys) > 15
    for key in keys:
        assert f"`{key}`" in table, key
    known = {*keys, *params}
    for name in re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE):
        assert name in known, f"{name} is explained, but no key"


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(baked: Project, page: str) -> None:
    check_targets(read(baked, page), baked.path / "Makefile")


@pytest.mark.parametrize("page", TEMPLATE_PAGES)
def test_every_make_target_of_the_template_exists(page: str) -> None:
    text = (TEMPLATE / page).read_text(encoding="utf-8")
    check_targets(text, TEMPLATE / "Makefile", SOURCE / "Makefile")


def check_targets(text: str, *makefiles: Path) -> None:
    mentioned = {match["target"] for code in code_of(text) for match in MAKE.finditer(code)}
    assert mentioned <= targets(*makefiles), mentioned - targets(*makefiles)


def test_every_message_of_troubleshooting_is_one_of_the_code(baked: Project) -> None:
    """A reader searches the page for what is on the screen; a message that was reworded would not be found."""
    said = "\n".join([*(constants(path) for path in (baked.path / "scripts").rglob("*.py")), read(baked, "Makefile")])
    errors = list(messages_of(baked.path / "scripts", {**ERRORS, **WARNINGS}))
    checked = 0
    for line in read(baked, "docs/troubleshooting.md").splitlines():
        cell = line.removeprefix("| ").partition(" | ")[0]
        if not line.startswith("| `") or re.search(r"\((DVC|Git)\)|hook", cell) or "Permission denied" in cell:
            continue
        for message in re.findall(r"`([^`]+)`", cell):
            pieces = [piece.strip() for piece in message.split("…")]
            is_error = any(is_said_by(message, error) for error in errors)
            assert is_error or all(piece in said for piece in pieces), f"no message says {message!r}"
            checked += 1
    assert checked > 30


def constants(path: Path) -> str:
    """All string constants of a Python file, one a line; adjacent literals are one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return "\n".join(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_docs_name_no_command_that_is_not_there(baked: Project) -> None:
    for page in PAGES:
        for match in SCRIPT.finditer(read(baked, page)):
            assert (baked.path / f"scripts/{match['name']}.py").is_file(), f"{page}: {match[0]}"
        for script in re.findall(r"scripts/\w+\.sh", read(baked, page)):
            assert (baked.path / script).is_file(), f"{page}: {script}"
