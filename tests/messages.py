"""The messages of the project's errors, warnings and checks, read from its code: what is said, with … for what only a run knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ERRORS = {"BadInput": 0, "Refused": 0}
"""The calls that make an error, and where among their arguments the problem stands."""

WARNINGS = {"warn": 0, "skipped": 1, "failed": 1}
"""The calls that say or return something else to heed: a warning, or a line of a checklist with – or ✗."""

UNKNOWN = "…"


@dataclass(frozen=True)
class Message:
    """What an error says and what it advises, and where it is raised.

    Attributes:
        place: file and line.
        problem, remedy: as text, with … for values; a remedy may be empty.
    """

    place: str
    problem: str
    remedy: str

    @property
    def words(self) -> str:
        """The longest piece that is the same whenever it is said."""
        return max((piece.strip() for piece in self.problem.split(UNKNOWN)), key=len)


def messages_of(folder: Path, calls: Mapping[str, int] = ERRORS) -> Iterator[Message]:
    """Read what some calls say in all Python files below a folder: errors, unless others are asked for."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = assigned(tree.body)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            known = {**constants, **assigned(ast.walk(function))}
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                    said = [text_of(argument, known) for argument in node.args[calls[node.func.id] :]] + [""]
                    yield Message(f"{path.relative_to(folder)}:{node.lineno}", said[0], said[1])


def assigned(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, ast.expr]:
    """The values that names get, by name."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def text_of(node: ast.AST, known: dict[str, ast.expr], depth: int = 0) -> str:
    """An expression as text: constants as they stand, names as they were assigned, and … for all else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, known, depth) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, known, depth) if isinstance(node.value, ast.Name) else UNKNOWN
    if isinstance(node, ast.Name) and node.id in known and depth < 4:
        return text_of(known[node.id], known, depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left, known, depth) + text_of(node.right, known, depth)
    return UNKNOWN


def is_said_by(pattern: str, message: Message) -> bool:
    """Tell whether what a page quotes, with … for values, is what a message says."""
    pieces = [re.escape(piece.strip()) for piece in pattern.split(UNKNOWN)]
    return re.search(".*".join(pieces), message.problem, re.DOTALL) is not None
