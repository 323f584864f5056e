"""What the template's README says: its commands are typed in the order in which a user would, its table of questions is read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baked_projects import TEMPLATE, Project
from pages import blocks, targets

BEFORE_THE_PROJECT = r"pipx install|cookiecutter |cd my-project|make setup|source \.venv"
"""What test_bare_python.py types: it makes the project, and its environment."""


def commands_of_the_readme() -> set[str]:
    """What is to be typed in a project: the block of a project of your own, and the table of what you want."""
    text = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    [block] = [block.text for block in blocks(text) if block.language == "console"]
    lines = [line.removeprefix("$ ").partition("  #")[0].strip() for line in block.splitlines()]
    found = {line for line in lines if not re.match(BEFORE_THE_PROJECT, line)}
    table = text.partition("| you want to |")[2].partition("\n\n")[0]
    for row in table.splitlines():
        spans = [span for span in re.findall(r"`([^`]+)`", row) if " " in span]
        script = re.match(r"python \S+", spans[0] if spans else "")
        found.update(span.replace("…", script[0]) if script else span for span in spans)
    return found


@pytest.mark.slow
def test_the_commands_of_the_readme_work_in_their_order(light_trained: Project, tmp_path: Path) -> None:
    project = light_trained
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
    project.git("remote", "add", "origin", str(origin))
    project.run("make", "setup", VENV=sys.prefix)
    typed = set()

    def type_in(command: str) -> str:
        typed.add(command)
        done = project.run("bash", "-euo", "pipefail", "-c", command, VENV=sys.prefix)
        return done.stdout + done.stderr

    explore = "python scripts/experiment_explorer.py"
    assert "up to date" in type_in("dvc repro")
    assert "tagged e0.1.0: " in type_in('python scripts/version_tag.py --version e0.1.0 --commit "First results"')
    assert "files pushed" in type_in("dvc push")
    assert " e0.1.0 " in type_in("make leaderboard")

    assert "says e0.2.0" in type_in("python scripts/version_tag.py --start minor")
    project.set_param("sweep.grid", {"model.C": [0.01, 0.1, 10.0]})
    assert "merge metrics: +3 ~0 =0 !0" in type_in("dvc repro")
    assert "tagged e0.2.0: " in type_in('python scripts/version_tag.py --version e0.2.0 --commit "Results" --push')
    assert project.git("ls-remote", "--tags", "origin", "e0.2.0")
    assert len(re.findall("^ e0.2.0 ", type_in(f"{explore} list"), re.M)) == 3
    assert " params       C " in type_in(f"{explore} diff --v1 e0.1.0 --v2 e0.2.0")
    assert len(re.findall("^ e0.[12].0 .* yes +–$", type_in(f"{explore} verify --all"), re.M)) == 2

    model = "models/production/model.bin"
    assert f"wrote {project.path}/build/e0.1.0/{model}" in type_in(f"{explore} get --version e0.1.0 --artifact {model}")
    assert "(e0.1.0)" in type_in("python scripts/model_manager.py promote --version e0.1.0")
    project.git("checkout", "--quiet", "--", ".")
    project.dvc("checkout")
    assert "is ready, on branch exp/deeper-net" in type_in("./scripts/setup_worktree.sh deeper-net")
    there = Project(tmp_path / "exp-deeper-net", project.environment)
    there.script("version_tag", "--start", "minor")
    there.set_param("sweep.grid", {"model.C": [0.3]})
    there.repro()
    there.script("version_tag", "--version", "e0.3.0", "--commit", "C of 0.3")
    assert "✓ runs    1 of its own, all in main's database" in type_in(
        "./scripts/finish_worktree.sh deeper-net --collect"
    )
    doctor = type_in("make doctor")
    assert "✓ git " in doctor and "✗" not in doctor
    assert typed == commands_of_the_readme()


def test_the_two_commands_of_the_template_exist() -> None:
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    typed = [line for block in blocks(readme) if block.language == "bash" for line in block.text.splitlines()]
    commands = [line.partition("#")[0].strip() for line in typed]
    assert "make demo" in commands and "make test" in commands
    assert {"demo", "test"} <= targets(TEMPLATE / "Makefile")


def test_the_questions_of_the_readme_are_those_of_cookiecutter() -> None:
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    table = readme.partition("## The questions")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")
    ]
    public = {name: value for name, value in questions.items() if not name.startswith("_")}
    assert [row[0] for row in rows] == [f"`{name}`" for name in public]
    for row, (name, default) in zip(rows, public.items(), strict=True):
        prompt = questions["__prompts__"][name]
        assert row[1] == (prompt["__prompt__"] if isinstance(prompt, dict) else prompt)
        if isinstance(default, list):
            assert [word.strip("` ") for word in row[2].split(",")] == default
        elif "{{" not in default:
            assert row[2] == (f"`{default}`" if default else "empty")


def test_pictures_are_small_and_said_in_words() -> None:
    pictures = sorted((TEMPLATE / "docs/images").glob("*.png"))
    assert pictures
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    for picture in pictures:
        assert picture.stat().st_size < 60_000, picture.name
        described = re.search(rf"!\[([^\]]+)\]\(docs/images/{picture.name}\)", readme)
        assert described and len(described[1]) > 40, f"{picture.name} has no text for those who cannot see it"
