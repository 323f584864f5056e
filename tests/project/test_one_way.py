"""There is one way for each thing: one place that starts programs, one writer of whole files, one rule for params."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
from rooms import FILES

PROGRAMS = {
    "lineage/tracked/git.py": "the place itself",
    "lineage/tracked/dvc.py": "the types of what `git.run` returns",
    "lineage/extras/cluster/on_worker.py": "a worker's own processes, which live on and are spoken to",
    "lineage/extras/gpus/devices.py": "nvidia-smi, which may be missing: all that it says is looked through",
    "lineage/extras/update/__main__.py": "after an update the newer code goes on in place of the older",
    "git_merge_driver.py": "Git's own merge of lines, where the extra is not there",
}
RENAMES = {
    "lineage/tracked/whole_file.py": "the place itself",
    "lineage/tracked/cache.py": "objects come out of the cache, not flushed to the disk, as they stay there",
    "lineage/merge/data_files.py": "parts get their names inside a draft, which is published whole",
    "lineage/runs/model_file.py": "a model may be a file or a folder, and `save_model` writes it",
    "lineage/runs/unfinished_runs.py": "a run that is finished leaves the folder of unfinished ones, its database last",
    "lineage/extras/retrieve/get.py": "what `get` made takes the place of a file or folder that the user named",
    "lineage/extras/worktrees/start.py": "the folder of an experiment goes at once",
}
PARAMS = {"lineage/core/param_names.py": "the rule itself"}

OF_OS = ("os.system", "os.popen", "os.spawn", "os.posix_spawn", "os.exec")
RENAMING = {"rename", "renames", "move"}


def program_calls(tree: ast.AST) -> Iterator[int]:
    """The lines that import subprocess, or start a program by `os`."""
    for node in ast.walk(tree):
        names: list[str | None] = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        by_os = isinstance(node, ast.Attribute) and ast.unparse(node).startswith(OF_OS)
        if by_os or "subprocess" in names:
            yield node.lineno


def rename_calls(tree: ast.AST) -> Iterator[int]:
    """The lines that rename a file or folder: by `os`, `shutil` or a path.

    `a.replace(b)` with one argument is a path's, since that of a text takes two; named arguments are a dataclass's.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_os = ast.unparse(node.func) == "os.replace"
            of_path = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
            if of_os or of_path or node.func.attr in RENAMING:
                yield node.lineno


def param_rules(tree: ast.AST) -> Iterator[int]:
    """The lines that ask whether a name begins as a param's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            texts = [part.value for word in node.args for part in ast.walk(word) if isinstance(part, ast.Constant)]
            if "model_" in texts:
                yield node.lineno


Finder = Callable[[ast.AST], Iterator[int]]
WAYS: dict[str, tuple[Finder, dict[str, str]]] = {
    "programs": (program_calls, PROGRAMS),
    "renames": (rename_calls, RENAMES),
    "params": (param_rules, PARAMS),
}


@pytest.mark.parametrize("way", WAYS)
def test_there_is_one_way_for_each_thing(way: str) -> None:
    """The exceptions are named, each with its reason, and none of them is left over."""
    find, places = WAYS[way]
    found = {name: list(find(ast.parse(text))) for name, text in FILES.items()}
    assert {name: lines for name, lines in found.items() if lines and name not in places} == {}
    assert {name for name in places if not found[name]} == set(), "named, but it does so no more"


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("programs", "import os, subprocess"),
        ("programs", "def f():\n    from subprocess import run"),
        ("programs", "os.system('git status')"),
        ("programs", "os.execvp('git', words)"),
        ("renames", "os.replace(a, b)"),
        ("renames", "os.rename(a, b)"),
        ("renames", "Path(a).rename(b)"),
        ("renames", "made.replace(path)"),
        ("renames", "shutil.move(a, b)"),
        ("params", "[name for name in row if name.startswith('model_')]"),
        ("params", "name.startswith(('val_', 'model_'))"),
    ],
)
def test_another_way_is_found(way: str, text: str) -> None:
    find, _ = WAYS[way]
    assert list(find(ast.parse(text)))


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("programs", "from lineage.tracked.git import run"),
        ("renames", "text.replace('a', 'b')\nsignature.replace(parameters=found)"),
        ("params", "name.startswith('val_')\nis_param('model_C')"),
    ],
)
def test_the_one_way_is_left_alone(way: str, text: str) -> None:
    find, _ = WAYS[way]
    assert list(find(ast.parse(text))) == []
