"""New keys of params.yaml: beside their neighbours, with what held without them; no other line changes."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import pytest
from baked_projects import SOURCE

from lineage.core.params import parse_yaml, read_params
from lineage.extras.update.new_keys import missing_keys, with_key

EXAMPLE = re.sub(r"{{.*?}}", "text", (SOURCE / "params.yaml").read_text(encoding="utf-8"))
REQUIRED = """\
experiment: {version: e0.1.0, description: a, author: b}
model: {C: 1.0}
merge:
  strategy: merge
  key_columns: [version]
  data_strategy: merge
  data_key_columns: [id]
promote: {strategy: rebase, metric: f1, mode: max, min_improvement: 0.0, keep: 5}
"""


def completed(text: str) -> str:
    for key, value in missing_keys(parse_yaml(text)):
        text = with_key(text, EXAMPLE, key, value)
    return text


def without(content: Any, key: tuple[str, ...]) -> Any:
    for name in key[:-1]:
        content = content[name]
    del content[key[-1]]


@pytest.mark.slow
def test_each_key_can_be_new(tmp_path: Path) -> None:
    """Of the template's own file, with each of its comments and in its place."""
    everything = dict(missing_keys(parse_yaml(REQUIRED)))
    assert len(everything) >= 26
    lines = EXAMPLE.splitlines()
    for key in everything:
        number = next(
            n for n, line in enumerate(lines) if line.lstrip().startswith(f"{key[-1]}:") and under(lines, n, key)
        )
        text = "\n".join([*lines[:number], *lines[number + 1 :], ""])
        added = completed(text).splitlines()
        assert len(added) == len(lines), key
        assert added[:number] + added[number + 1 :] == lines[:number] + lines[number + 1 :], key
        comment = lines[number].partition(" #")[2]
        assert added[number].startswith(lines[number].partition(":")[0]) and added[number].endswith(comment), key


def under(lines: list[str], number: int, key: tuple[str, ...]) -> bool:
    """Whether the line stands below the sections of the key."""
    indent = len(lines[number]) - len(lines[number].lstrip())
    parents = []
    for line in reversed(lines[:number]):
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth < indent:
            parents.insert(0, line.strip().partition(":")[0])
            indent = depth
    return tuple(parents) == key[:-1]


HABITS = {
    "as it is": EXAMPLE.replace("  data_layout: file ", "  # data_layout: file "),
    "four spaces": "# mine\n" + REQUIRED.replace("\n  ", "\n    "),
    "lists of dashes": REQUIRED.replace("key_columns: [version]", "key_columns:\n  - version  # why", 1),
    "a comment at the end": REQUIRED.replace("[id]\n", "[id]\n  # and so on\n\n# promotion\n"),
    "no line end at the end": REQUIRED.rstrip("\n"),
    "sections in one line": REQUIRED + "sweep: {jobs: 2}  # two\nvalidation: {}\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HABITS.values(), ids=HABITS)
def test_however_params_are_written(text: str, tmp_path: Path) -> None:
    wanted = parse_yaml(text)
    for key, value in missing_keys(wanted):
        section = wanted
        for name in key[:-1]:
            section = section.setdefault(name, {})
        section[key[-1]] = value
    added = completed(text)
    assert parse_yaml(added) == wanted
    (tmp_path / "params.yaml").write_text(added, encoding="utf-8")
    read_params(tmp_path / "params.yaml")
    assert list(missing_keys(parse_yaml(added))) == []
    for comment in ("# mine", "# why", "# and so on", "# promotion", "# two"):
        assert (comment in added) == (comment in text)
    if "promote: {" not in text:
        differences = difflib.ndiff(text.splitlines(), added.splitlines())
        assert [line for line in differences if line[0] == "-"] == []
