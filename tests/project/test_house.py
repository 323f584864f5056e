"""The house in which the code lives: how much there is to read, and how it is written."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from baked_projects import SOURCE, TEMPLATE
from reading import Size, findings, function_lengths, size
from rooms import (
    EXTRAS,
    FILES,
    PACKAGE,
    SCRIPTS,
    STAGES,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_TOKENS = 50_000
"""Of everything under scripts/ that people get into their own repository; `extras/` can be deleted, and is apart.

A feature that would pass it goes into an extra, takes the place of another, or belongs to a library.
"""
MOST_TOKENS_A_LINE = 8.0
MOST_TOKENS_OF_AN_EXTRA = 4_000
SMALLER = {"formats": 3_500, "arrow_types": 1_600, "search": 1_500, "update": 1_800}
CHARTS = ("confusion", "curves", "regression", "sweeps", "versions")
LONGEST_PAGE = {
    **{f"charts/{name}.json": 50 for name in CHARTS},
    "page.css": 60,
    "page.html": 80,
    "page.js": 260,
    "themes.json": 60,
}
"""Lines of what a browser reads of the report: charts in Vega-Lite, and glue between data and libraries."""

LONGEST_FUNCTION = 30
LONGEST_LINE = 100
LONGEST_FILE = 299
LONGEST_STAGE = 60
LONGEST_TEST_FILE = 400
LONGEST_SHELL_SCRIPT = 10


def found_in_files(check: Callable[[str], Iterable[object]]) -> list[str]:
    """What a check of a file's text finds in all files, each with the file's name."""
    return [f"{name}: {finding}" for name, text in FILES.items() for finding in check(text)]


# How much there is to read.


def whole_size(files: dict[str, str]) -> Size:
    """The size of all files without `extras/`."""
    sizes = [size(text) for name, text in files.items() if "extras" not in Path(name).parts]
    return sum(sizes, Size())


def long_functions(text: str) -> list[str]:
    return [f"{name} has {lines} lines" for name, lines in function_lengths(text) if lines > LONGEST_FUNCTION]


def long_lines(text: str) -> list[str]:
    lines = enumerate(text.splitlines(), 1)
    return [f"line {number} has {len(line)} columns" for number, line in lines if len(line) > LONGEST_LINE]


def sizes_by_folder(files: dict[str, str]) -> str:
    """A table of the folders of `scripts/`: tokens, and tokens a line."""
    found: dict[str, Size] = {}
    for name, text in files.items():
        folder = Path(name).parent.as_posix()
        found[folder] = found.get(folder, Size()) + size(text)
    return "\n".join(f"{found[name].tokens:6} {found[name].density:5.1f} {name}" for name in found)


def longer_than(limit: int, texts: dict[str, str]) -> dict[str, int]:
    """The texts that have more lines than that, of any kind, and how many they have."""
    lengths = {name: len(text.splitlines()) for name, text in texts.items()}
    return {name: length for name, length in lengths.items() if length > limit}


def test_the_code_can_be_read_in_an_evening() -> None:
    tokens = whole_size(FILES).tokens
    assert tokens <= MOST_TOKENS, sizes_by_folder(FILES)


@pytest.mark.parametrize("folder", EXTRAS, ids=lambda folder: folder.name)
def test_an_extra_is_small(folder: Path) -> None:
    sizes = [size(path.read_text("utf-8")) for path in folder.rglob("*.py")]
    assert sum(sizes, Size()).tokens <= SMALLER.get(folder.name, MOST_TOKENS_OF_AN_EXTRA)


def test_a_line_does_little() -> None:
    density = whole_size(FILES).density
    assert density <= MOST_TOKENS_A_LINE, sizes_by_folder(FILES)


def test_functions_are_short() -> None:
    assert found_in_files(long_functions) == []


def test_lines_are_short() -> None:
    assert found_in_files(long_lines) == []


def test_files_are_short() -> None:
    assert longer_than(LONGEST_FILE, FILES) == {}


def test_files_of_tests_are_short() -> None:
    tests = {path.name: path.read_text("utf-8") for path in (TEMPLATE / "tests").rglob("*.py")}
    assert longer_than(LONGEST_TEST_FILE, tests) == {}


def test_a_stage_fits_on_a_screen() -> None:
    assert longer_than(LONGEST_STAGE, {stage: FILES[f"{stage}.py"] for stage in STAGES}) == {}


def test_a_line_takes_one_step() -> None:
    assert found_in_files(findings) == []


def test_no_code_hides_in_another_kind_of_file() -> None:
    assert hidden_code(SCRIPTS) == [Path(name).name for name in LONGEST_PAGE]
    page = {name: (PACKAGE / "extras/report" / name).read_text("utf-8") for name in LONGEST_PAGE}
    assert [name for name, text in page.items() if longer_than(LONGEST_PAGE[name], {name: text})] == []


def hidden_code(folder: Path) -> list[str]:
    """The files that are neither Python nor a few lines of shell."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    others = [path.name for path in paths if path.suffix not in (".py", ".sh")]
    shells = {path.name: path.read_text("utf-8") for path in paths if path.suffix == ".sh"}
    return [*others, *longer_than(LONGEST_SHELL_SCRIPT, shells)]


def test_code_holds_no_jinja() -> None:
    for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sh")]:
        assert not holds_jinja(path.read_text("utf-8")), path


def holds_jinja(text: str) -> bool:
    return re.search(r"\{\{-? *cookiecutter|\{%", text) is not None


# The checks above can fail.


@pytest.mark.parametrize(
    ("text", "tokens", "lines"),
    [
        ("", 0, 0),
        ("x = 1", 3, 1),
        ("x = 1  # why\n\n# because\ny = (\n    2\n)\n", 8, 4),
        ('"""About\nthis file."""\n\ndef f():\n    """About f."""\n    return 1\n', 7, 2),
        ('LIMIT = 3\n"""About\nLIMIT."""\n', 3, 1),
        ('x = """one\ntwo"""\n', 3, 2),
        ('x = f"{a + b:>{width}} and {c!r}"\n', 3, 1),
        ('x = f"""{a}\n{f(f\'{b}\')}\n"""\ny = 1', 6, 4),
        ('x = (f"one {a}"\n     "two"\n     rf"three{{}}")\n', 7, 3),
        ("a = b = 0; c = 1", 9, 1),
    ],
)
def test_tokens_are_counted_without_prose_and_the_same_on_every_python(text: str, tokens: int, lines: int) -> None:
    assert size(text) == Size(tokens, lines)


def test_size_is_counted_over_all_files_without_extras() -> None:
    files = {"train.py": "x = 1", "lineage/core/paths.py": "y = 2\nz = 3", "lineage/extras/search/run.py": "no = 1"}
    assert whole_size(files) == Size(9, 3)
    assert whole_size(files).density == 3.0


def test_a_long_function_is_found() -> None:
    body = "    x = 1\n" * LONGEST_FUNCTION
    short = '    """Prose\n    is not code."""\n\n    # nor this\n' + body.removesuffix("    x = 1\n")
    assert long_functions(f"def long():\n{body}\n\nasync def short():\n{short}") == ["long has 31 lines"]


def test_a_long_line_is_found() -> None:
    assert long_lines("# " + "x" * 99 + "\n# " + "é" * 98) == ["line 1 has 101 columns"]


def test_a_long_file_and_code_of_another_kind_are_found(tmp_path: Path) -> None:
    assert longer_than(2, {"short": "1\n\n", "long": "1\n\n\n"}) == {"long": 3}
    texts = {"ok.py": "", "ok.sh": "exit\n", "rules.json": "{}", "long.sh": "true\n" * 11}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert hidden_code(tmp_path) == ["rules.json", "long.sh"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a, b = f(), g()", "several assignments in one"),
        ("[a, *b] = c, d", "several assignments in one"),
        ("a, b = (f(x) for x in y)", "a comprehension that is unpacked"),
        ("a = [[f(x) for x in y] for y in z]", "a comprehension inside a comprehension"),
        ("a = {x for x in sorted(y for y in z)}", "a comprehension inside a comprehension"),
        ("a = {k: v for k, v in z if any(w for w in v)}", "a comprehension inside a comprehension"),
        ("a = list(x for y in z for x in y)", "a comprehension with two loops"),
        ("a = f(b := 1)", "an assignment inside an expression"),
        ("if (a := f()) and a.b:\n    pass", "an assignment inside an expression"),
        ("a = [b for x in y if (b := f(x))]", "an assignment inside an expression"),
        ("a = b if c else d if e else f", "a conditional inside a conditional"),
        ("a = b if (c if d else e) else f", "a conditional inside a conditional"),
        ("say(a) if a else None", "an expression instead of an if or a loop"),
        ("a and say(a)", "an expression instead of an if or a loop"),
        ("[say(a) for a in b]", "an expression instead of an if or a loop"),
        ("exec(text)", "a string of code, run by exec"),
        ("a = f(eval(text))", "a string of code, run by eval"),
        ("a = builtins.compile(text, name, mode)", "a string of code, run by compile"),
        ("run([sys.executable, '-c', text])", "a string of code, run by python -c"),
        ("run('python3', '-c', text)", "a string of code, run by python -c"),
    ],
)
def test_several_steps_in_a_line_are_found(text: str, what: str) -> None:
    assert [str(finding) for finding in findings(f"\n{text}")] == [f"line 2: {what}"]


@pytest.mark.parametrize(
    "text",
    [
        "a, b = f()",
        "a = b = 0",
        "for a, b in c:\n    d[a], = b",
        "a = [f(x) for x in y if x]\nb = {k: v for k, v in z.items()}",
        "if a := f():\n    pass\nelif b := g():\n    pass\nwhile c := h():\n    pass",
        "a = b if c else d\ne = (f if g else h, i if j else k)",
        "a = re.compile(b)\nc = spec.loader.exec_module(d)",
        "git(root, '-c', 'user.name=Ada')",
    ],
)
def test_one_step_in_a_line_is_left_alone(text: str) -> None:
    assert findings(text) == []


def test_jinja_is_found() -> None:
    assert holds_jinja('name = "{{ cookiecutter.project_slug }}"') and holds_jinja("{% if s3 %}")
    assert not holds_jinja('f"{{{name}}}" + "{{}}"')


# Both configurations of the linter say the same.


def lint_rules(path: Path) -> dict[str, object]:
    """The rules of a pyproject.toml, without what may differ: the width, E501 with it, and exceptions of single files."""
    text = re.sub(r"= \{\{.*?\}\}", '= "an answer"', path.read_text("utf-8"))
    ruff = tomllib.loads(text)["tool"]["ruff"]
    lint = {name: rule for name, rule in ruff["lint"].items() if name not in ("ignore", "per-file-ignores")}
    return {**lint, "ignore": set(ruff["lint"]["ignore"]) - {"E501"}, "target-version": ruff["target-version"]}


def test_template_and_project_follow_the_same_rules() -> None:
    project = lint_rules(SOURCE / "pyproject.toml")
    assert lint_rules(TEMPLATE / "pyproject.toml") == project
    assert {"D", "C901", "PLR0911", "PLR0912", "PLR0913", "PLR0915"} <= set(project["select"])  # type: ignore[call-overload]
    assert project["mccabe"] == {"max-complexity": 8}
    assert project["pylint"] == {"max-args": 6, "max-branches": 8, "max-returns": 5, "max-statements": LONGEST_FUNCTION}


def test_lines_of_the_project_are_as_wide_as_the_linter_says() -> None:
    text = (SOURCE / "pyproject.toml").read_text("utf-8")
    assert f"line-length = {LONGEST_LINE}\n" in text and "E501" not in text
