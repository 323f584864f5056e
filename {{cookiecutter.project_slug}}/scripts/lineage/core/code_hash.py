"""Hashes of the project's own code: of all that a run imports, and of the part that evaluates.

The code is read, not run: what an `import` names counts wherever it stands, in a function too.
"""

import ast
import copy
import hashlib
import json
import symtable
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.paths import EXPERIMENT, PIPELINE

EVALUATION = {"evaluate", "load_data"}
"""The functions of `experiment.py` that decide what a metric of a model is."""

Files = dict[str, bytes]
"""Content by path relative to the project's root, as in `features/text.py`."""


def code_files(root: Path) -> Files:
    """Find the code of a run: `experiment.py`, and all modules of the project that it imports.

    What the stage `train` lists among its `deps` in dvc.yaml counts, too: it names the modules
    whose import cannot be read from the code.

    Raises:
        BadInput: a file is not Python.
    """
    files: Files = {}
    for name in (EXPERIMENT, *listed_paths(root)):
        place = root / name
        for path in (place, *place.rglob("*.py")):
            if path.suffix == ".py":
                _add(root, path.relative_to(root).as_posix(), files)
    return files


def listed_paths(root: Path) -> list[str]:
    """Read which files and folders the stage `train` depends on, by dvc.yaml.

    Raises:
        BadInput: it has no such stage.
    """
    from yaml import YAMLError

    from lineage.core.yaml_as_text import read_as_text

    try:
        stages = read_as_text((root / PIPELINE).read_bytes())["stages"]
        return list(map(str, stages["train"].get("deps", [])))
    except (YAMLError, KeyError, TypeError) as error:
        raise BadInput(f"{PIPELINE} has no stage train that can be read: {error!r}") from None


def check_listed(root: Path, names: Iterable[str]) -> None:
    """Check that the stage `train` depends on some files of code, so that a change reruns it.

    Raises:
        BadInput: dvc.yaml does not list one of them.
    """
    missing = sorted(names)
    for listed in listed_paths(root):
        missing = [name for name in missing if not PurePosixPath(name).is_relative_to(listed)]
    if missing:
        lines = "".join(f"\\n      - {name}" for name in missing)
        raise BadInput(
            f"{PIPELINE} does not list {', '.join(missing)}, which {EXPERIMENT} imports:"
            " a change there would rerun nothing",
            f"sed -i 's|^      - {EXPERIMENT}$|&{lines}|' {PIPELINE}",
        )


def code_hash(files: Files) -> str:
    """Hash code (md5): the content of every file, in whatever order they come."""
    return hash_json({name: _md5(content) for name, content in files.items()})


def hash_json(content: Any) -> str:
    """Hash content that JSON can hold (md5); other values count as their text."""
    return _md5(json.dumps(content, sort_keys=True, default=str).encode())


def evaluate_hash(root: Path) -> str:
    """Hash what makes a metric of a model and the test set (md5); comments do not count.

    That is `evaluate` and `load_data`, what they use of the other names in `experiment.py`, and
    the whole of each module of the project that is imported for these. So a change of `fit` alone
    leaves the hash as it is.

    Raises:
        BadInput: a file is not Python.
    """
    path = root / EXPERIMENT
    content = path.read_bytes() if path.is_file() else b""
    used = _used(_parse(EXPERIMENT, content))
    files: Files = {}
    for name in _imported(EXPERIMENT, ast.Module(used, [])):
        _add(root, name, files)
    code = {name: _plain(_parse(name, content)) for name, content in files.items()}
    return hash_json([_plain(used), code])


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _parse(name: str, content: bytes) -> ast.Module:
    try:
        return ast.parse(content, name)
    except (SyntaxError, ValueError) as error:
        raise BadInput(
            f"{name} cannot be imported: {type(error).__name__}: {error}", f"python {name}"
        ) from None


def _add(root: Path, name: str, files: Files) -> None:
    """Add a file of the project, if there is one, and the modules that it imports."""
    path = root / name
    if name in files or not path.is_file():
        return
    files[name] = path.read_bytes()
    for other in _imported(name, _parse(name, files[name])):
        _add(root, other, files)


def _imported(name: str, code: ast.AST) -> Iterator[str]:
    """Yield where modules may be that some code of a file imports.

    Example: for `import a.b` in any file, `a/b.py`, `a/b/__init__.py`, and the same of `a`.
    """
    for node in ast.walk(code):
        package: list[str] = []
        if isinstance(node, ast.ImportFrom):
            package += PurePosixPath(name).parts[: -node.level] if node.level else ()
            package += (node.module or "").split(".")
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                module = PurePosixPath(*package, *alias.name.split("."))
                *parents, _ = module.parents
                for part in (module, *parents):
                    yield f"{part}.py"
                    yield f"{part}/__init__.py"


def _used(module: ast.Module) -> list[ast.stmt]:
    """Pick those of a module's statements that define what `EVALUATION` uses."""
    statements = list(_statements(module))
    names = EVALUATION
    while True:
        used = [statement for statement in statements if _bound(statement) & names]
        wider = names.union(*(_global_names(_scope(statement)) for statement in used))
        if wider == names:
            return used
        names = wider


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module; an import of several names as one for each of them."""
    for statement in module.body:
        if not isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield statement
            continue
        for alias in statement.names:
            single = copy.copy(statement)
            single.names = [alias]
            yield single


def _bound(statement: ast.stmt) -> set[str]:
    """Name what a statement of a module binds, or may change, as in `SCORES.append(3)`."""
    scope = _scope(statement)
    names = set()
    for symbol in scope.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            names.add(symbol.get_name())
    if names or isinstance(statement, ast.If):  # such as `if __name__ == "__main__"`
        return names
    return EVALUATION if isinstance(statement, ast.ImportFrom) else _global_names(scope)


def _scope(statement: ast.stmt) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(statement), EXPERIMENT, "exec")


def _global_names(scope: symtable.SymbolTable) -> set[str]:
    """Name what code uses of its module, in functions and classes too."""
    names = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
    return names.union(*map(_global_names, scope.get_children()))


def _plain(node: Any) -> Any:
    """Turn code into lists without comments, the same in every Python, unlike `ast.dump`."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [field for field in ast.iter_fields(node) if field[1] not in (None, [])]
    return [type(node).__name__, [(name, _plain(value)) for name, value in fields]]
