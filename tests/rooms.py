"""The rooms of the package `lineage`, and who imports whom, read from the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from baked_projects import SOURCE

SCRIPTS = SOURCE / "scripts"
PACKAGE = SCRIPTS / "lineage"
ROOMS = (
    "core",
    "tables",
    "tracked",
    "merge",
    "runs",
    "results",
    "models",
    "versions",
    "setup",
    "extras",
)
"""From the ground up. A room imports only from itself and from rooms before it, so no two import each other."""

STAGES = ("merge_data", "train", "merge_results", "promote_model")
FILES = {path.relative_to(SCRIPTS).as_posix(): path.read_text("utf-8") for path in sorted(SCRIPTS.rglob("*.py"))}
EXTRAS = sorted(path for path in (PACKAGE / "extras").iterdir() if path.is_dir() and path.name != "__pycache__")
FOLDERS = [PACKAGE, *(PACKAGE / room for room in ROOMS), *EXTRAS]

MODULE = re.compile(r"lineage(\.[a-z]\w*)+")

Graph = dict[str, set[str]]


def imported_modules(source: str) -> set[str]:
    """What the text of a module imports from the package, wherever in it, as dotted names.

    `from lineage.merge import rules` gives `lineage.merge.rules`, and `from lineage.merge.rules import Rules` gives
    `lineage.merge.rules.Rules`. A string that names a module counts, since it may be imported by that name; so does the
    one that `from_extra` gets.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write lineage.room.module"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            found.add(node.value)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "from_extra"
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(f"lineage.extras.{node.args[0].value}")
    return {name for name in found if name.split(".")[0] == "lineage"}


def imported_rooms(source: str) -> set[str]:
    """The rooms that the text of a module imports from."""
    return {name.split(".")[1] for name in imported_modules(source) if "." in name}


def rooms_imported_by(room: str) -> set[str]:
    """The other rooms that the files of a room import from; extras, which may be missing, are not counted."""
    rooms: set[str] = set()
    for path in (PACKAGE / room).rglob("*.py"):
        rooms |= imported_rooms(path.read_text(encoding="utf-8"))
    return rooms - {room, "extras"}


def room_graph() -> Graph:
    """Each room, and the other rooms that it imports from."""
    return {room: rooms_imported_by(room) for room in ROOMS}


def reachable(graph: Graph, start: str) -> set[str]:
    """Everything that one comes to from `start`, itself only if there is a circle."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        room = waiting.pop()
        if room not in found:
            found.add(room)
            waiting.extend(graph[room])
    return found


def without_shortcuts(graph: Graph) -> Graph:
    """The same graph without the edges that follow from others: with a → b → c, the edge a → c is left out."""
    kept = {}
    for room, imported in graph.items():
        through_others: set[str] = set()
        for other in imported:
            through_others |= reachable(graph, other)
        kept[room] = imported - through_others
    return kept


def drawn_graph(mermaid: str) -> Graph:
    """The graph that a mermaid diagram shows: lines like `a --> b & c`."""
    graph: Graph = {}
    for line in mermaid.splitlines():
        start, arrow, ends = line.strip().partition(" --> ")
        if arrow:
            graph.setdefault(start, set()).update(end.strip() for end in ends.split("&"))
    return graph


def draw(graph: Graph) -> str:
    """A mermaid diagram of the graph, rooms from the top down, in the form that `drawn_graph` reads."""
    lines = ["flowchart TD"]
    for room in reversed(ROOMS):
        ends = sorted(graph[room], key=ROOMS.index)
        if ends:
            lines.append(f"    {room} --> {' & '.join(ends)}")
    return "\n".join(lines)


def file_of(module: str) -> Path | None:
    """The file of `lineage.merge.rules`, or of `lineage.merge.rules.Rules`; None for the package itself."""
    parts = module.split(".")
    while len(parts) > 1:
        path = SCRIPTS.joinpath(*parts).with_suffix(".py")
        if path.is_file():
            return path
        parts.pop()
    return None


def files_needed_by(script: Path) -> set[Path]:
    """Every file of the package that a script imports, itself or through others."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for module in imported_modules(waiting.pop().read_text(encoding="utf-8")):
            path = file_of(module)
            if path is not None and path not in found:
                found.add(path)
                waiting.append(path)
    return found
