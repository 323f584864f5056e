"""The house in which the code lives: rooms, and who may import whom."""

from __future__ import annotations

import ast

from conftest import SOURCE

PACKAGE = SOURCE / "scripts/lineage"
ROOMS = ("core", "tables", "tracked", "merge", "runs", "results", "models", "branches", "versions", "setup")
"""From the ground up. A room imports only from itself and from rooms before it, so no two import each other."""


def imported_rooms(source: str) -> set[str]:
    """The rooms that the text of a module imports from, wherever in it."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lineage":
            rooms |= {node.module.split(".")[1]} if "." in node.module else {alias.name for alias in node.names}
    return rooms


def test_every_file_is_in_a_room() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"} == {"__init__.py", *ROOMS}


def test_a_room_imports_only_from_itself_and_below() -> None:
    for room in ROOMS:
        for path in (PACKAGE / room).glob("*.py"):
            above = imported_rooms(path.read_text(encoding="utf-8")) - set(ROOMS[: ROOMS.index(room) + 1])
            assert not above, f"{room}/{path.name} imports from {above}"
