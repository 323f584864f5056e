"""Measures of how hard a Python file is to read: tokens, lines, functions, and constructs that hide steps.

Tokens are Python's own, without comments, docstrings and line ends, so that packing lines gains nothing. An f-string is
one token, as Python 3.11 reads it, whichever Python counts.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

UNREAD = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip
FSTRING_START = getattr(tokenize, "FSTRING_START", None)
FSTRING_END = getattr(tokenize, "FSTRING_END", None)

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
RUNNERS = {"exec", "eval", "compile"}
"""Built-in functions that run, or make ready to run, a string of code."""
INTERPRETER = re.compile(r"sys\.executable|\bpython[\d.]*\b")


@dataclass(frozen=True)
class Size:
    """How much there is to read.

    Attributes:
        tokens: number of tokens.
        lines: number of lines that hold at least one of them.
    """

    tokens: int = 0
    lines: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.tokens + other.tokens, self.lines + other.lines)

    @property
    def density(self) -> float:
        """Tokens a line."""
        return self.tokens / max(self.lines, 1)


@dataclass(frozen=True)
class Finding:
    """A construct that the house does not want, and the line that it begins on."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


@cache
def size(source: str) -> Size:
    """Count the tokens of a file's text, and the lines that hold them."""
    spans = code_tokens(source)
    return Size(len(spans), len(lines_of(spans)))


def code_tokens(source: str) -> list[range]:
    """The lines that each token of the code covers, one range for each token, in order."""
    prose = prose_lines(source)
    return [span for span in whole_tokens(source) if span.start not in prose]


def whole_tokens(source: str) -> Iterator[range]:
    """The lines of each token, comments and line ends aside. The pieces of an f-string (Python 3.12) are one token."""
    depth = 0
    began = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == FSTRING_START:
            if depth == 0:
                began = token.start[0]
            depth += 1
        elif token.type == FSTRING_END:
            depth -= 1
            if depth == 0:
                yield range(began, token.end[0] + 1)
        elif depth == 0 and token.type not in UNREAD:
            yield range(token.start[0], token.end[0] + 1)


def prose_lines(source: str) -> set[int]:
    """The lines of docstrings: statements that are nothing but a string, which Python does not run."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def lines_of(spans: list[range]) -> set[int]:
    """The lines that hold at least one token."""
    lines: set[int] = set()
    for span in spans:
        lines.update(span)
    return lines


def function_lengths(source: str) -> list[tuple[str, int]]:
    """Each function's name and the number of lines of its code, without docstring, comments and blank lines."""
    code = lines_of(code_tokens(source))
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS):
            own = code.intersection(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            found.append((node.name, len(own)))
    return found


def findings(source: str) -> list[Finding]:
    """What in a file takes several steps in one line, or hides code from whoever reads it."""
    tree = ast.parse(source)
    tests = {id(node.test) for node in ast.walk(tree) if isinstance(node, ast.If | ast.While)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.NamedExpr) and id(node) not in tests:
            found.append(Finding(node.lineno, "an assignment inside an expression"))
        for what in faults_of(node):
            found.append(Finding(getattr(node, "lineno", 0), what))
    return sorted(found, key=lambda finding: finding.line)


def faults_of(node: ast.AST) -> Iterator[str]:
    """What is wrong with one node, whatever it stands in."""
    if isinstance(node, ast.Assign):
        yield from faults_of_assignment(node)
    elif isinstance(node, COMPREHENSIONS):
        if holds(node, COMPREHENSIONS):
            yield "a comprehension inside a comprehension"
        if len(node.generators) > 1:
            yield "a comprehension with two loops"
    elif isinstance(node, ast.IfExp):
        if holds(node, ast.IfExp):
            yield "a conditional inside a conditional"
    elif isinstance(node, ast.Expr):
        if isinstance(node.value, (ast.IfExp, ast.BoolOp, *COMPREHENSIONS)):
            yield "an expression instead of an if or a loop"
    elif isinstance(node, ast.Call | ast.List | ast.Tuple):
        yield from code_in_strings(node)


def faults_of_assignment(node: ast.Assign) -> Iterator[str]:
    """What is wrong with an assignment to several names."""
    if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
        if isinstance(node.value, ast.Tuple | ast.List):
            yield "several assignments in one"
        if isinstance(node.value, COMPREHENSIONS):
            yield "a comprehension that is unpacked"


def code_in_strings(node: ast.Call | ast.List | ast.Tuple) -> Iterator[str]:
    """Whether a string of code is run here: by `exec`, `eval` or `compile`, or by `python -c`."""
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Name) and called.id in RUNNERS:
            yield f"a string of code, run by {called.id}"
        if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "builtins" and called.attr in RUNNERS:
            yield f"a string of code, run by {called.attr}"
    parts = node.args if isinstance(node, ast.Call) else node.elts
    words = [ast.unparse(part) for part in parts]
    for before, word in pairwise(words):
        if word == "'-c'" and INTERPRETER.search(before):
            yield "a string of code, run by python -c"


def holds(node: ast.AST, kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> bool:
    """Whether a node of one of these kinds stands somewhere inside `node`."""
    return any(isinstance(inner, kinds) for inner in ast.walk(node) if inner is not node)


def only_a_docstring(source: str) -> bool:
    """Whether a file holds a docstring and nothing else."""
    body = ast.parse(source).body
    return len(body) == 1 and ast.get_docstring(ast.parse(source)) is not None


def names_missing_from(docstring: str, names: list[str]) -> list[str]:
    """The names that the docstring does not say: as the first word of a line, or as `name` in backticks."""
    first_words = re.findall(r"^[\s*-]*(\w+)", docstring, re.MULTILINE)
    in_backticks = re.findall(r"`(\w+)(?:\.py)?`", docstring)
    return [name for name in names if name not in {*first_words, *in_backticks}]
