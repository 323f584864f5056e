"""The rooms of the house: who may import whom, what each face says, and what is drawn and declared of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from baked_projects import SOURCE, TEMPLATE
from reading import names_missing_from, only_a_docstring
from rooms import (
    EXTRAS,
    FILES,
    FOLDERS,
    PACKAGE,
    ROOMS,
    SCRIPTS,
    STAGES,
    draw,
    drawn_graph,
    files_needed_by,
    imported_modules,
    imported_rooms,
    reachable,
    room_graph,
    without_shortcuts,
)

DOORS = {
    "lineage/core/console.py",
    "lineage/merge/column_types.py",
    "lineage/merge/data.py",
    "lineage/merge/databases.py",
    "lineage/merge/origin_of_copy.py",
    "lineage/merge/predictions.py",
    "lineage/models/gate.py",
    "lineage/runs/run_argument.py",
    "lineage/runs/run_plan.py",
    "lineage/setup/check_remote.py",
    "lineage/tables/arrow_metadata.py",
    "lineage/tables/as_sqlite.py",
    "lineage/tables/parquet_files.py",
}
"""The files of rooms that reach an extra: where a file comes that is no plain parquet and no database of runs alone, an
experiment takes the run, params may be mistyped, a gain may be noise, a remote is on S3, or a command gets `--verbose`."""

FACE = "lineage/__init__.py"
"""It hands out the functions of the extra `access`, when they are asked for."""

NEEDS = {
    ("access", "predictions_table"),
    ("access", "show"),
    ("collect", "git_merge"),
    ("collect", "worktrees"),
    ("compare", "show"),
    ("git_merge", "show"),
    ("model_manager", "show"),
    ("renumber", "compare"),
    ("report", "show"),
    ("retrieve", "show"),
    ("verify", "doctor"),
    ("verify", "retrieve"),
    ("verify", "show"),
    ("worktrees", "collect"),
    ("worktrees", "git_merge"),
    ("worktrees", "retrieve"),
}
"""Extras that need another one.

What prints rows, finds the run that is meant, or reads the leaderboard does so by `show`; of `git_merge` and `retrieve`
only the lists `conflicts` and `worktrees`. `access` reads tables as `predictions_table` does. `verify` hashes the files
of a commit as `retrieve` brings them back, and warns of what `doctor` finds. An experiment is a worktree as `checkout`
makes one; it is collected, by an option of the command that finishes it, as Git's merge driver merges, and what that
would change tells whether corrected rows are home. `renumber` takes the number that `compare` suggests where none is
named.
"""


# Rooms.


def test_every_file_is_in_a_room() -> None:
    found = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert found == {"__init__.py", *ROOMS}


def test_a_room_imports_only_from_itself_and_below() -> None:
    for name, text in FILES.items():
        room = Path(name).parts[1:-1][:1]
        if room and room[0] in ROOMS:
            doors = {"extras"} if name in DOORS else set()
            above = imported_rooms(text) - set(ROOMS[: ROOMS.index(room[0]) + 1]) - doors
            assert not above, f"{name} imports from {above}"


def test_a_few_doors_lead_to_extras_and_only_when_one_is_asked_for() -> None:
    """So every folder of `extras/` can be deleted, and what is not used costs nothing at start-up."""
    users = {name for name, text in FILES.items() if "extras" in imported_rooms(text) and "/extras/" not in name}
    assert {name for name in users if "/" in name} == {*DOORS, FACE}
    for node in [node for name in users for node in ast.parse(FILES[name]).body]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert "extras" not in ast.unparse(node)


def test_extras_do_not_need_each_other() -> None:
    """But for `NEEDS`, whose import says what is missing."""
    found = set()
    for folder in EXTRAS:
        for path in folder.rglob("*.py"):
            names = [name.split(".") for name in imported_modules(path.read_text("utf-8"))]
            others = {name[2] for name in names if name[1:2] == ["extras"]} - {folder.name}
            found |= {(folder.name, other) for other in others}
    assert found == NEEDS


def test_no_two_rooms_import_each_other() -> None:
    assert circles(room_graph()) == set()


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The rooms that come back to themselves."""
    return {room for room in graph if room in reachable(graph, room)}


def test_every_form_of_import_is_seen() -> None:
    text = (
        "import lineage.core.paths\nimport os, lineage.tables as t\nfrom lineage import merge\n"
        "from lineage.runs import train_run, workers\nimport lineage\nfrom pathlib import Path\n"
        "def f():\n    from lineage.models.gate import promote_stage as p\n    start('lineage.setup.project', 'lineage x')\n"
        "    return from_extra('show.versions', f'{command} asks')\n"
    )
    assert imported_rooms(text) == {"core", "tables", "merge", "runs", "models", "setup", "extras"}
    with pytest.raises(AssertionError, match="relative import"):
        imported_rooms("from ..core import paths")


def test_two_rooms_that_import_each_other_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {"b", "c"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_face_of_a_room_names_what_is_in_it_and_holds_no_code(folder: Path) -> None:
    """The package itself hands out its functions, and loads them when they are asked for."""
    text = (folder / "__init__.py").read_text("utf-8")
    assert only_a_docstring(text) != (folder == PACKAGE)
    inside = [path for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]
    names = sorted(path.stem for path in inside if path.name not in ("__init__.py", "__pycache__"))
    assert names_missing_from(ast.get_docstring(ast.parse(text)) or "", names) == []


def test_a_face_that_leaves_something_out_is_found() -> None:
    face = "The room of the gate.\n\n    gate  where it is\n- `show.py`: more, and `prune` does it"
    assert names_missing_from(face, ["gate", "show", "prune"]) == []
    assert names_missing_from("The room of the gate: show.", ["gate", "show"]) == ["gate", "show"]
    assert only_a_docstring('"""Face."""\n') and not only_a_docstring('"""Face."""\nimport os\n')
    assert not only_a_docstring("x = 1\n") and not only_a_docstring("")


# What is drawn and declared is what the code does.


def test_the_diagram_shows_the_imports() -> None:
    """Arrows that follow from others are left out."""
    pages = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
    [diagram] = re.findall(r"```mermaid\n(.*?)```", pages, re.DOTALL)
    real = without_shortcuts(room_graph())
    expected = {room: others for room, others in real.items() if others}
    assert drawn_graph(diagram) == expected, f"draw it as\n{draw(real)}"


def test_the_lists_of_rooms_are_in_their_order() -> None:
    table = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8").partition("## Rooms")[2].partition("```")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == ROOMS
    assert tuple(re.findall(r"^(\w+)  ", FILES["lineage/__init__.py"], re.MULTILINE)) == ROOMS


def test_a_wrong_diagram_is_found() -> None:
    graph = {"core": set(), "tables": {"core"}, "merge": {"core", "tables"}}
    graph.update({room: set() for room in ROOMS if room not in graph})
    real = without_shortcuts(graph)
    assert real["merge"] == {"tables"} and real["tables"] == {"core"}
    assert drawn_graph(draw(real)) == {"merge": {"tables"}, "tables": {"core"}}
    assert drawn_graph(draw(graph)) != drawn_graph(draw(real))


def declared_stages() -> dict[str, dict[str, list[str]]]:
    stages: dict[str, dict[str, list[str]]] = yaml.safe_load((SOURCE / "dvc.yaml").read_text("utf-8"))["stages"]
    assert tuple(stages) == STAGES
    return stages


def code_that_decides(script: Path) -> set[str]:
    """What a stage has to depend on: its script, and the rooms of every file that it imports, itself or through others.

    Not an extra: it can be deleted, and decides how a merge is done, not what comes of it.
    """
    files = [path.relative_to(SOURCE).as_posix() for path in files_needed_by(script)]
    rooms = {name.rpartition("/")[0] for name in files if "/extras/" not in name}
    return {script.relative_to(SOURCE).as_posix(), *rooms}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "train"])
def test_a_stage_reruns_when_its_rules_change(stage: str) -> None:
    code = {path for path in declared_stages()[stage]["deps"] if path.startswith("scripts")}
    assert code == code_that_decides(SCRIPTS / f"{stage}.py")


def test_an_update_of_the_template_retrains_nothing() -> None:
    assert [path for path in declared_stages()["train"]["deps"] if path.startswith("scripts")] == []


def test_what_a_script_needs_is_followed_through_its_imports() -> None:
    """The command setup_project imports only the room setup; setup looks at what is recorded."""
    needed = code_that_decides(SCRIPTS / "setup_project.py")
    assert {"scripts/setup_project.py", "scripts/lineage/setup", "scripts/lineage/tracked"} <= needed
    assert "scripts/lineage/models" not in needed
