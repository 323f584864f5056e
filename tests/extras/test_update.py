"""`make update`: a project made from an older template becomes one of the newer; what is the user's stays as it is."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from pathlib import Path

import pytest
from baked_projects import TEMPLATE, Bakery, Project, stages_run
from light_project import EXPERIMENT
from older_template import ADDED, SLUG, copy_today, make_older_template, save

THEIRS = ("data", "models/production", "models/candidates", "results/experiments.db", "results/predictions")
STAGE = "  report:\n    cmd: wc -l experiment.py > report.txt\n    deps: [experiment.py]\n    outs: [report.txt]\n\n"
SKIP = r"""sed -i 's/"dvc.yaml", //; s/"\.dvc"/".dvc\/config"/' pyproject.toml"""
"""What the page tells those to type whose project is from before `make update`."""


def update(project: Project, code: int = 0) -> str:
    done = project.run("python", "-m", "lineage.extras.update", code=code, PYTHONPATH="scripts")
    return done.stdout + done.stderr


def contents(project: Project) -> dict[str, str]:
    """A hash of every file that is the user's, and all tags."""
    files = [path for name in THEIRS for path in (project.path / name, *(project.path / name).rglob("*"))]
    found = {str(path): hashlib.md5(path.read_bytes()).hexdigest() for path in files if path.is_file()}
    return {**found, "tags": project.git("tag", "--format=%(objectname) %(refname)")}


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} in {path.name}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def make_mine(project: Project) -> None:
    """Change what people change: code, params with comments, a dependency, what Git ignores, a stage."""
    path = project.path
    (path / "experiment.py").write_text(f'{EXPERIMENT}\nimport features  # noqa: E402,F401\n"""Mine."""\n')
    (path / "features.py").write_text("SCALE = 16\n")
    edit(path / "params.yaml", ("  C: 1.0   ", "  C: 0.5   # found by hand,"), ("  keep: 5 ", "  keep: 3 "))
    edit(path / "params.yaml", ("sweep:\n  grid: {} ", "# about sweeps\nsweep:\n  grid: {model.C: [0.5, 0.1]} "))
    edit(path / "pyproject.toml", ('    "pyyaml>=6",\n', '    "einops>=0.8",\n    "pyyaml>=6",\n'))
    with (path / ".gitignore").open("a") as ignored:
        ignored.write("\nour_notes.txt\n")
    edit(path / "dvc.yaml", ("\nplots:\n", f"\n{STAGE}plots:\n"))
    train = "      - data/test.parquet\n      - experiment.py\n    params:\n      - experiment.version\n"
    edit(path / "dvc.yaml", (train, train.replace("experiment.py\n", "experiment.py\n      - features.py\n")))


@pytest.mark.slow
def test_an_older_project_becomes_a_new_one_and_what_is_mine_stays(bake: Bakery, tmp_path: Path) -> None:
    template = make_older_template(tmp_path / "template", bake.environment)
    answers = json.dumps({"shared_cache_dir": f"{tmp_path}/cache", "description": 'Ada\'s "digits"'})
    Project(tmp_path, bake.environment).run(
        "cruft", "create", str(template.path), "--no-input", "--extra-context", answers
    )
    project = Project(tmp_path / "digit-experiments", bake.environment)
    make_mine(project)
    if '"dvc.yaml", ' in (project.path / "pyproject.toml").read_text():
        project.run("sh", "-c", SKIP)
    project.commit("mine")
    assert stages_run(project.repro()) == ["merge_data", "train", "merge_results", "promote_model", "report"]
    project.commit("first results")
    project.script("version_tag", "--version", "e0.1.0")
    mine = {name: (project.path / name).read_bytes() for name in ("experiment.py", "features.py", "params.yaml")}
    before = contents(project)
    history = project.git("log", "--format=%H")

    copy_today(template)
    with (template.path / SLUG / "scripts/lineage/merge/rules.py").open("a") as rules:
        rules.write("# a rule has changed\n")
    newest = save(template, "today")
    project.run("cruft", "update", "--skip-apply-ask")  # the older template has no `make update`
    assert project.git("diff", "--name-only", "--diff-filter=U") == "" and not list(project.path.rglob("*.rej"))
    assert project.git("log", "--format=%H") == history, "nothing is initialised or committed again"
    assert (project.path / "params.yaml").read_bytes() == mine["params.yaml"], "cruft leaves it alone"
    project.commit("the newer template")
    said = update(project)
    first, *others = said.splitlines()
    added = first.removeprefix("params.yaml: new with their defaults: ").split(", ")
    assert set(ADDED) <= set(added)
    assert others[-2:] == [
        f"  → git add --all && git commit --message 'Update the template to {newest}'",
        "  → dvc repro   # merges again, which changes nothing; no model is trained",
    ]
    for name in ("experiment.py", "features.py"):
        assert (project.path / name).read_bytes() == mine[name]
    new_lines = (project.path / "params.yaml").read_text().splitlines()
    old_lines = mine["params.yaml"].decode().splitlines()
    assert [line for line in difflib.ndiff(old_lines, new_lines) if line[0] == "-"] == [], "no line is changed or moved"
    assert "  confidence: null                # and by more than noise" in "\n".join(new_lines), "as it was: off"
    texts = {name: (project.path / name).read_text() for name in ("dvc.yaml", ".gitignore", "pyproject.toml")}
    assert "      - validation\n" in texts["dvc.yaml"] and "      - merge.data_layout\n" in texts["dvc.yaml"]
    assert STAGE in texts["dvc.yaml"] and "      - features.py\n" in texts["dvc.yaml"]
    assert "our_notes.txt" in texts[".gitignore"] and "einops" in texts["pyproject.toml"]

    project.run("sh", "-c", others[-2].removeprefix("  → ").replace("git commit", "git commit --no-verify"))
    ran = stages_run(project.repro())
    assert set(ran) >= {"merge_data", "merge_results"} and not set(ran) & {"train", "report"}, (
        "no model is trained anew"
    )
    assert contents(project) == before, "rows, models, data and tags are untouched"
    project.commit("the same results by the newer code")
    assert "nothing to do: the template has nothing new" in update(project)
    suggested = project.script("version_tag", "--suggest")
    assert suggested.startswith("e0.1.1   patch since e0.1.0\n"), "keys that hold what held before change no version"

    project.script("version_tag", "--start", "minor")
    project.set_param("validation.fraction", 0.2)
    assert "train" in stages_run(project.repro()), "a new key that is used makes new runs"
    rows = json.loads(project.script("experiment_explorer", "list", "--format", "json"))
    assert {row["version"] for row in rows} == {"e0.1.0", "e0.2.0"} and len(rows) == 4
    project.commit("second results")
    project.script("version_tag", "--version", "e0.2.0")
    proved = project.script("experiment_explorer", "verify", "--all", code=1)
    for version in ("e0.1.0", "e0.2.0"):
        assert f" {version}   yes     yes       yes    no      yes  yes  yes    yes   yes   remote: " in proved, proved


@pytest.mark.slow
def test_what_stands_in_the_way_is_said_in_one_line(fresh: Project, tmp_path: Path) -> None:
    known = json.loads((fresh.path / ".cruft.json").read_text())
    assert known["template"] == str(TEMPLATE)
    assert known["commit"] == Project(TEMPLATE, fresh.environment).git("rev-parse", "HEAD")
    done = fresh.run("make", "update", f"VENV={sys.prefix}")
    assert done.stdout.endswith("nothing to do: the template has nothing new\n")

    (fresh.path / "notes.txt").write_text("mine\n")
    said = "error: 1 files are not committed, as notes.txt\n  → git add --all && git commit --message 'Before the update'\n"
    assert update(fresh, code=1) == said
    fresh.run("sh", "-c", said.rpartition("→ ")[2])

    template = Project(tmp_path / "template", fresh.environment)
    template.path.mkdir()
    template.git("clone", "--quiet", "--no-checkout", str(TEMPLATE), ".")
    gone = tmp_path / "gone"
    fresh.run("sed", "-i", f"s|{TEMPLATE}|{gone}|", ".cruft.json")
    fresh.commit("as on another machine")
    said = update(fresh, code=1)
    assert said.startswith(f"error: the template cannot be had from {gone}: ") and "Failed to clone" in said
    again, _, remedy = said.partition("→ ")[2].partition("   # when it answers; has it moved: ")
    template.path.rename(gone)
    assert "nothing to do" in fresh.run(*again.split(), f"VENV={sys.prefix}").stdout
    gone.rename(template.path)
    typed = remedy.replace("|URL|", f"|{template.path}|").replace("make update", "python -m lineage.extras.update")
    assert "nothing to do" in fresh.run("sh", "-c", typed, PYTHONPATH="scripts").stdout

    fresh.git("rm", "--quiet", ".cruft.json")
    fresh.commit("as copied from a template without Git")
    said = update(fresh, code=1)
    assert said.startswith(
        "error: there is no .cruft.json: the project does not know its template\n  → cruft link URL   #"
    )
    link = said.partition("→ ")[2].partition("   #")[0].replace("URL", str(template.path))
    fresh.run("sh", "-c", f"yes '' | {link}")
    fresh.run("sh", "-c", said.partition("then: ")[2].partition(" && make")[0])
    assert "nothing to do" in update(fresh)


@pytest.fixture
def tiny(bake: Bakery, tmp_path: Path) -> tuple[Project, Project]:
    """A template of two files, and a project of it, for what cruft does with files."""
    template = Project(tmp_path / "template", bake.environment)
    (template.path / "{{cookiecutter.slug}}").mkdir(parents=True)
    (template.path / "cookiecutter.json").write_text('{"slug": "tiny"}')
    for name in ("Makefile", "requirements.lock"):
        (template.path / "{{cookiecutter.slug}}" / name).write_text("".join(f"{name} {line}\n" for line in range(20)))
    template.git("init", "--quiet")
    save(template, "one")
    Project(tmp_path, bake.environment).run("cruft", "create", str(template.path), "--no-input")
    project = Project(tmp_path / "tiny", bake.environment)
    project.git("init", "--quiet")
    return template, project


def both_change(template: Project, project: Project) -> None:
    """Change one line of both files, in the template and in the project."""
    for name in ("Makefile", "requirements.lock"):
        edit(project.path / name, (f"{name} 5\n", f"{name} mine\n"))
        edit(template.path / "{{cookiecutter.slug}}" / name, (f"{name} 5\n", f"{name} new\n"))
    project.commit("mine")
    save(template, "two")


AGAIN = "  → git add --all && git commit --message 'Update the template' && make update"


@pytest.mark.slow
def test_files_that_both_changed_are_named(tiny: tuple[Project, Project]) -> None:
    from lineage.core.errors import Refused
    from lineage.extras.update.template import bring_template

    template, project = tiny
    project.commit("one")
    both_change(template, project)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.echo", lambda line, err=False: said.append(line))
        with pytest.raises(Refused) as refused:
            bring_template(project.path)
    assert str(refused.value) == f"2 files need your hand (each ✗ above)\n{AGAIN}"
    assert said == [
        "✗ Makefile both changed it: keep what is right between <<<<<<< and >>>>>>>\n    → git diff -- Makefile",
        "✗ requirements.lock its packages are chosen anew, from what pyproject.toml asks for\n"
        "    → git checkout --theirs -- requirements.lock && make lock",
    ]
    look, choose = (line.partition("→ ")[2] for line in said)
    assert "\n++=======\n+ Makefile new\n" in project.run("sh", "-c", look).stdout
    (project.path / "Makefile").write_text("lock:\n\techo chosen >> requirements.lock\nupdate:\n\tfalse\n")
    project.run("sh", "-c", choose)
    assert "requirements.lock new\n" in (lock := (project.path / "requirements.lock").read_text())
    assert lock.endswith("\nchosen\n")
    project.run("sh", "-c", AGAIN.removeprefix("  → ").partition(" && make")[0])
    bring_template(project.path)
    assert project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_parts_that_do_not_fit_are_named(tiny: tuple[Project, Project]) -> None:
    """As where Git has no commit of the file as the template had it."""
    from lineage.core.errors import Refused
    from lineage.extras.update.template import bring_template

    template, project = tiny
    both_change(template, project)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.echo", lambda line, err=False: said.append(line))
        with pytest.raises(Refused, match="2 files need your hand"):
            bring_template(project.path)
    assert said[0] == (
        "✗ Makefile.rej this part of the update does not fit Makefile: put it in by hand\n"
        "    → cat Makefile.rej   # and then: rm Makefile.rej"
    )
    assert "+Makefile new" in project.run("sh", "-c", said[0].partition("→ ")[2]).stdout
    assert "Makefile mine\n" in (project.path / "Makefile").read_text()
