"""The hooks, rendered and imported as modules."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from baked_projects import load_hook


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
