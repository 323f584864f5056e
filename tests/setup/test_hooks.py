"""The hooks, rendered and imported as modules."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from conftest import TEMPLATE, Bakery, Project, load_hook


def test_default_answers_have_no_problem(tmp_path: Path) -> None:
    hook = load_hook("pre_gen_project", tmp_path)
    assert hook.find_problems(hook.ANSWERS) == []


@pytest.mark.parametrize(
    "value", ['a "quoted" name', "Ada's", "back\\slash\\", 'three """ quotes', "é 🔢", "</script>&amp;", "{% raw %}"]
)
def test_answers_enter_as_data(tmp_path: Path, value: str) -> None:
    escaped = value.replace("{%", "{{ '{%' }}")  # cookiecutter renders what it is given
    for name in ("pre_gen_project", "post_gen_project"):
        assert load_hook(name, tmp_path, description=escaped).ANSWERS["description"] == value


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x85", "\u2028", "\ufeff", "\ud800"], ids=ascii)
def test_characters_that_yaml_or_toml_cannot_hold(tmp_path: Path, character: str) -> None:
    [problem] = load_hook("pre_gen_project", tmp_path).check_characters("description", f"a{character}b")
    assert problem == f"description: holds the control character U+{ord(character):04X}; take it out"


@pytest.mark.parametrize("character", ["\n", "\t", "é", "漢", "🔢", "\u00a0"], ids=ascii)
def test_characters_that_are_welcome(tmp_path: Path, character: str) -> None:
    assert load_hook("pre_gen_project", tmp_path).check_characters("description", f"a{character}b") == []


def test_cruft_rerenders_below_the_temporary_folder_only(tmp_path: Path) -> None:
    hook = load_hook("post_gen_project", tmp_path)
    below = Path(tempfile.gettempdir()) / "tmpabc123" / "project"
    assert hook.is_rerender({}, below)
    assert not hook.is_rerender({"_output_dir": str(below.parent)}, below), (
        "cookiecutter itself, into a temporary folder"
    )
    assert not hook.is_rerender({}, Path.home() / "work" / "project"), "cruft create"
    assert not hook.is_rerender({}, below.parent), "cruft create, into the temporary folder itself"


def test_cruft_update_brings_the_new_template_and_keeps_the_users_files(bake: Bakery, tmp_path: Path) -> None:
    template = Project(tmp_path / "template", bake.environment)
    files = Project(TEMPLATE, bake.environment)
    names = files.run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, names):
        if (TEMPLATE / name).is_file():
            (template.path / name).parent.mkdir(parents=True, exist_ok=True)
            (template.path / name).write_bytes((TEMPLATE / name).read_bytes())
    template.git("init", "--quiet")
    template.git("add", "--all", "--force")
    template.git("commit", "--quiet", "--message", "one")
    work = Project(tmp_path / "work", bake.environment)
    work.path.mkdir()
    cache = f'{{"shared_cache_dir": "{tmp_path}/cache"}}'
    work.run("cruft", "create", str(template.path), "--no-input", "--extra-context", cache)
    project = Project(work.path / "digit-experiments", bake.environment)
    assert project.git("log", "--format=%s") == "Start from the experiment template"
    (project.path / "experiment.py").write_text("# mine\n", encoding="utf-8")
    project.commit("mine, and .cruft.json")

    source = template.path / "{{cookiecutter.project_slug}}"
    for name in ("Makefile", "experiment.py"):
        (source / name).write_text(
            (source / name).read_text(encoding="utf-8") + "# new in the template\n", encoding="utf-8"
        )
    template.commit("two")
    project.run("cruft", "update", "--skip-apply-ask")
    assert (project.path / "Makefile").read_text(encoding="utf-8").endswith("# new in the template\n")
    assert (project.path / "experiment.py").read_text(encoding="utf-8") == "# mine\n"
    changed = project.git("status", "--porcelain").split()
    assert sorted(word for word in changed if len(word) > 1 and word != "??") == [".cruft.json", "Makefile"]
