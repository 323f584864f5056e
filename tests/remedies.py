"""Remedies: read from the code with all that their names may stand for, and typed in the state in which they are printed."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from baked_projects import SOURCE, Project

SCRIPTS = SOURCE / "scripts"
ERRORS = {"BadInput": 1, "Refused": 1, "failed": 2, "skipped": 2}
"""What makes a message, and which of its arguments is the remedy."""

Texts = list[str]
"""What an expression may be, with … for what only a run knows."""

GAP = "…"


def remedies_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield where each remedy of the scripts stands (file and line), and its text; one that is passed on is not there."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}
    constants = {
        ".".join(path.relative_to(folder).with_suffix("").parts): assigned(tree.body) for path, tree in trees.items()
    }
    for path, tree in trees.items():
        module = Module(tree, constants)
        for function in [tree, *module.functions]:
            for node in own_nodes(function):
                for given in remedies_in(node):
                    lines = [line for text in module.texts(given, function) for line in text.split("\n  → ")]
                    for line in dict.fromkeys(lines):
                        yield f"{path.relative_to(folder)}:{node.lineno}", line.partition("   #")[0]


def remedies_in(node: ast.AST) -> list[ast.expr]:
    """The remedies that a call is given: of an error, of a line of a checklist, or for what may fail in it."""
    if not isinstance(node, ast.Call):
        return []
    place = ERRORS.get(getattr(node.func, "id", ""), len(node.args))
    return node.args[place : place + 1] + [word.value for word in node.keywords if word.arg == "remedy"]


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what is inside a function and not inside a function in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from own_nodes(child)


def assigned(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """All values that names get, by name; those of a pair in a pair, too."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.AugAssign | ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts))
                for one, value in pairs:
                    if isinstance(one, ast.Name):
                        found.setdefault(one.id, []).append(value)
    return found


class Module:
    """A file of the scripts, in which names are looked up."""

    def __init__(self, tree: ast.Module, constants: dict[str, dict[str, list[ast.expr]]]) -> None:
        self.functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self.tree = tree
        self.constants: dict[str, list[ast.expr]] = {}
        self.looking_up: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                there = constants.get(node.module or "", {})
                for name in node.names:
                    self.constants[name.name] = there.get(name.name, [])
                    self.constants.update(constants.get(f"{node.module}.{name.name}", {}))  # as in paths.RUNS
        self.constants.update(assigned(tree.body))

    def texts(self, node: ast.AST, function: ast.AST) -> Texts:
        """All that an expression may be."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return self.joined(node.values, function)
        if isinstance(node, ast.FormattedValue):
            return self.texts(node.value, function) if isinstance(node.value, ast.Name | ast.Attribute) else []
        if isinstance(node, ast.BinOp):
            return self.joined([node.left, node.right], function)
        if isinstance(node, ast.IfExp):
            return self.all_of([node.body, node.orelse], function)
        if isinstance(node, ast.BoolOp):
            return self.all_of(node.values, function)
        if isinstance(node, ast.Name):
            return self.named(node.id, function)
        if isinstance(node, ast.Attribute) and node.attr.isupper():
            return self.all_of(self.constants.get(node.attr, []), self.tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            tables = assigned(own_nodes(function)).get(node.value.id, []) + self.constants.get(node.value.id, [])
            return self.all_of([one for table in tables for one in ast.walk(table) if is_words(one)], function)
        return self.called(node, function) if isinstance(node, ast.Call) else []

    def all_of(self, nodes: list[ast.expr], function: ast.AST) -> Texts:
        return [text for node in nodes for text in self.texts(node, function)]

    def joined(self, nodes: list[ast.expr], function: ast.AST) -> Texts:
        texts = [""]
        for node in nodes:
            pieces = self.texts(node, function) or [GAP]
            texts = [text + piece for text in texts for piece in dict.fromkeys(pieces)]
        return texts

    def named(self, name: str, function: ast.AST) -> Texts:
        """What a name may be: what the function assigns to it, its callers in this file give for it, or a constant."""
        if name in self.looking_up:
            return []
        self.looking_up.append(name)
        here = assigned(own_nodes(function)).get(name, [])
        texts = self.all_of(here, function)
        if isinstance(function, ast.FunctionDef) and name in ("remedy", "advice"):
            texts += self.given(function, name)
        if not here and not texts:
            texts = self.all_of(self.constants.get(name, []), self.tree)
        self.looking_up.pop()
        return texts

    def given(self, function: ast.FunctionDef, name: str) -> Texts:
        """What a parameter may be: its default, and what callers in this file give for it."""
        names = [one.arg for one in [*function.args.posonlyargs, *function.args.args]]
        if name not in names:
            return []
        back = names.index(name) - len(names)
        texts = self.all_of(function.args.defaults[back:][:1] if len(function.args.defaults) >= -back else [], function)
        place = names.index(name) - (names[0] == "self")
        for caller in [self.tree, *self.functions]:
            for node in own_nodes(caller):
                if isinstance(node, ast.Call) and called_name(node) == function.name:
                    texts += self.all_of(node.args[place : place + 1], caller)
        return texts

    def called(self, node: ast.Call, function: ast.AST) -> Texts:
        """What a call returns: a text with its gaps, what a function of this file returns, or what it goes on with."""
        if called_name(node) == "format" and isinstance(node.func, ast.Attribute):
            return [re.sub(r"\{.*?\}", GAP, text) for text in self.texts(node.func.value, function)]
        for other in self.functions:
            if other.name == called_name(node) != "go":
                return self.all_of(
                    [one.value for one in own_nodes(other) if isinstance(one, ast.Return) and one.value], other
                )
        if called_name(node) == "get" and isinstance(node.func, ast.Attribute):  # of a table, or what is given for it
            tables = assigned(own_nodes(function)).get(getattr(node.func.value, "id", ""), [])
            values = [value for table in tables if isinstance(table, ast.Dict) for value in table.values]
            return self.all_of([*values, *node.args[1:]], function)
        return self.all_of(node.args, function) if called_name(node) == "go" else []


def called_name(node: ast.Call) -> str:
    """The last name of what is called."""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


@dataclass(frozen=True)
class State:
    """A way into an error, and out of it by its remedy.

    Attributes:
        get_there: what is done first: words for a shell, or a function of the project.
        command: what fails then.
        remedy: what it prints after an arrow, without the comment behind it, as `named` writes it. One that begins with
            `--` is an option, and typed with the command.
        by_hand: where the remedy says in words what to change, the change that it asks for, as it is typed.
        then: what works afterwards; empty: the same command; None: the remedy is that itself.
    """

    get_there: str | Callable[[Project], object]
    command: str
    remedy: str
    by_hand: str | Callable[[Project], object] = ""
    then: str | None = ""


def go_through(project: Project, state: State) -> None:
    """Get into a state, see the command fail with its remedy, type that, and see the command work."""
    do(project, state.get_there)
    done = subprocess.run(
        ["bash", "-c", state.command], cwd=project.path, env=project.environment, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1, 2) and "Traceback" not in said, said
    printed = {named(project, line): line for line in re.findall(r"→ (.*?)(?:   #.*)?$", said, re.MULTILINE)}
    assert state.remedy in printed, said
    typed = printed[state.remedy].replace("make setup", "python scripts/setup_project.py")  # which it ends with
    typed = re.sub("URL|FOLDER", f"{project.path.parent}/digit-experiments-remote", typed).replace("ELSEWHERE", "..")
    if typed.startswith("--"):
        typed = f"{state.command} {typed}"
    if not isinstance(state.by_hand, str):
        state.by_hand(project)
        typed = ""
    then = state.command if state.then == "" else state.then or ""
    shell(project, f"{state.by_hand or typed}\n{then}" if isinstance(state.by_hand, str) else then)


def named(project: Project, line: str) -> str:
    """Write PROJECT, PARENT and RUN for what has another name in each project."""
    line = line.replace(str(project.path), "PROJECT").replace(str(project.path.parent), "PARENT")
    for run in (project.path / "results/runs").glob("*.db"):
        line = line.replace(run.stem, "RUN")
    return line


def do(project: Project, what: str | Callable[[Project], object]) -> None:
    """Type words, or call a function of the project."""
    if isinstance(what, str):
        shell(project, what)
    else:
        what(project)


def shell(project: Project, typed: str) -> subprocess.CompletedProcess[str]:
    """Type something that works, in a shell that ends at the first failure."""
    return project.run("bash", "-euo", "pipefail", "-c", typed)


def database(name: str, *statements: str) -> Callable[[Project], None]:
    """Make a SQLite file in the project."""

    def make(project: Project) -> None:
        with closing(sqlite3.connect(project.path / name, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return make


def parquet(name: str, query: str) -> Callable[[Project], None]:
    """Make a parquet file in the project from the rows of a query."""
    return lambda project: duckdb.sql(f"COPY ({query}) TO '{project.path / name}'")


def both(*steps: str | Callable[[Project], Any]) -> Callable[[Project], None]:
    """Do one thing after another."""

    def do_all(project: Project) -> None:
        for step in steps:
            do(project, step)

    return do_all


def is_words(node: ast.AST) -> bool:
    """Tell whether a piece of a table is text that may be a remedy."""
    return isinstance(node, ast.Constant | ast.JoinedStr)
