"""Add new keys to params.yaml and dvc.lock, with what holds without them: nothing reruns."""

import io
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from lineage.core.console import say
from lineage.core.params import Params, Section, parse_yaml, read_params
from lineage.core.paths import PARAMS, PIPELINE, PIPELINE_LOCK
from lineage.tracked.whole_file import write_text

EXAMPLE = "docs/params.yaml"
"""The template's own params.yaml, from which comments and places of new keys are taken."""

Key = tuple[str, ...]


def add_new_keys(root: Path) -> None:
    """Add the keys that params.yaml lacks, with the values that hold without them.

    What `dvc.lock` records of stages gets them, too: their outputs were made with these values,
    when the keys were not there yet. So no stage runs again because of them.

    Args:
        root: the project's root.

    Raises:
        BadInput: params.yaml is not valid.
    """
    path = root / PARAMS
    read_params(path)
    text = path.read_text(encoding="utf-8")
    example = (root / EXAMPLE).read_text(encoding="utf-8")
    added = dict(missing_keys(parse_yaml(text)))
    for key, value in added.items():
        text = with_key(text, example, key, value)
    if added:
        _record(root, added)
        write_text(path, text)
        say(f"{PARAMS}: new with their defaults: {', '.join(map('.'.join, added))}")


def missing_keys(
    content: Any, section: type[Section] = Params, place: Key = ()
) -> Iterator[tuple[Key, Any]]:
    """Yield each key that is not there, and its default.

    Args:
        content: of a valid params.yaml, or of a section of it.
        section: what may be in it.
        place: the keys that lead to it.
    """
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from missing_keys(content.get(name, {}), kind, (*place, name))
        elif name not in content and not field.is_required():
            yield (*place, name), field.default


def with_key(text: str, example: str, key: Key, value: Any) -> str:
    """Add a key to the text of params.yaml; every other line stays as it is.

    Args:
        text: of params.yaml.
        example: the same of the template, which has the key, a comment, and neighbours.
        key: the key, and those that lead to it.
        value: what it gets.

    Returns:
        the text with lines of its own for the key. Where its section is written in one line, as
        in `sweep: {jobs: 2}`, ruamel.yaml writes the file anew, with its comments.
    """
    content = YAML().load(text)
    changed = _with_lines(text, example, key, value)
    wanted = _set(parse_yaml(text), key, value)
    try:
        if parse_yaml(changed) == wanted:
            return changed
    except YAMLError:
        pass  # its section is written in another way
    yaml = YAML()
    yaml.width = len(text)
    yaml.preserve_quotes = True
    written = io.StringIO()
    yaml.dump(_set(content, key, value), written)
    return written.getvalue()


def _set(content: Any, key: Key, value: Any) -> Any:
    """Set a value deep in mappings, which are made where they are missing."""
    section = content
    for name in key[:-1]:
        section = section.setdefault(name, {})
    section[key[-1]] = deepcopy(value)
    return content


def _with_lines(text: str, example: str, key: Key, value: Any) -> str:
    """Put the lines of a key, and of its section if that is missing, where the example has them."""
    section = YAML().load(text)
    model = YAML().load(example)
    lines = text.splitlines()
    place = 0  # the line before which the new ones go
    depth = 0
    while key[depth] in section:
        line, _ = section.lc.key(key[depth])
        place = line + 1
        section = section[key[depth]]
        model = model[key[depth]]
        depth += 1
    names = list(model)
    before = names[: names.index(key[depth])]
    neighbours = [name for name in before if name in section]
    indent = min((section.lc.key(name)[1] for name in section), default=2 * depth)
    if neighbours:
        place = _end(lines, *section.lc.key(neighbours[-1]))
    new = [""] if depth == 0 else []
    for name in key[depth:]:
        written = example.splitlines()[model.lc.key(name)[0]]
        new.append(_line(written, name, " " * indent, model[name], value))
        model = model[name]
        indent += 2
    return "\n".join([*lines[:place], *new, *lines[place:], ""])


def _end(lines: list[str], start: int, column: int) -> int:
    """Find the line behind the value of a key: empty lines and comments after it are not in it."""
    end = start + 1
    for number, line in enumerate(lines[end:], end):
        bare = line.lstrip()
        if not bare or bare.startswith("#"):
            continue
        if len(line) - len(bare) <= column and not bare.startswith("- "):
            break
        end = number + 1
    return end


def _line(written: str, name: str, indent: str, theirs: Any, value: Any) -> str:
    """Write a line of the example for here: `  keep: 5    # how many` with another value."""
    code, _, comment = re.split(r"( +# |$)", written, maxsplit=1)
    start = f"{indent}{name}:"
    if isinstance(theirs, dict) and theirs and code.endswith(":"):
        pass  # the line of a section
    elif theirs == value:
        start += code.partition(":")[2]
    else:
        start += f" {json.dumps(value)}"
    if not comment:
        return start
    column = len(written) - len(comment) - 2
    return f"{start.ljust(column - 1)} # {comment}"


def _record(root: Path, added: dict[Key, Any]) -> None:
    """Write the values of new keys into what `dvc.lock` records of the stages that name them."""
    file = root / PIPELINE_LOCK
    if not file.is_file():
        return
    stages = parse_yaml((root / PIPELINE).read_text(encoding="utf-8"))["stages"]
    yaml = YAML()
    lock = yaml.load(file)
    for name, stage in lock["stages"].items():
        declared = stages.get(name, {}).get("params") or ()
        for key, value in added.items():
            for param in filter(".".join((*key, "")).startswith, _prefixes(declared)):
                rest = key[param.count(".") :]
                _set(stage, ("params", PARAMS, param.rstrip("."), *rest), value)
    written = io.StringIO()
    yaml.dump(lock, written)
    write_text(file, written.getvalue())


def _prefixes(declared: Any) -> Iterator[str]:
    """Write params of params.yaml, which are text, as in `promote.`; others are of other files."""
    for param in declared:
        if isinstance(param, str):
            yield f"{param}."
