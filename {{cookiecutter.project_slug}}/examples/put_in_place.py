"""Put an example in place of the project's experiment: `make example NAME=boosting`.

An example is a folder: `experiment.py`, `params.yaml` with what it changes there, data, a few rows
for the tests, and the packages that it needs. `neural-net/torch` is over `neural-net`: what it does
not have itself is that of the folder above.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.core.console import Argument, new_app, say
from lineage.core.errors import BadInput, Refused

if TYPE_CHECKING:
    from ruamel.yaml import YAML

FOLDER = "examples"
TEST_DATA = "data/test.parquet"
INBOX = "data/incoming"
CODE = {
    "experiment.py": "experiment.py",
    "conftest.py": "tests/conftest.py",
    "test_task.py": "tests/test_task.py",
}
"""Where a file of an example goes."""

SETTINGS = {"params.yaml": "params.yaml", "dvc.yaml": "plots.yaml"}
"""What an example changes in a file; DVC would read any `dvc.yaml` as a pipeline of the project."""

WHOLE = ("model", "plots")
"""Sections that an example replaces as a whole; of others, it changes the keys that it has."""

NULL = "tag:yaml.org,2002:null"
START_ANEW = (
    "git switch --quiet --create try-example"
    " && git rm --quiet dvc.lock results/metrics.json"
    " && rm -rf data/train.parquet results/experiments.db results/predictions results/artifacts"
    " models/production models/candidates"
    " && git commit --quiet --message 'Start anew, for an example'"
)

app = new_app("Put an example in place of experiment.py, its data, params and tests.")


@app.command()
def main(name: str = Argument("", help="A folder of examples/: boosting, text …")) -> None:
    """Put an example in place of experiment.py, its data, params and tests.

    It is refused where that would mix with results of the project, or lose a change.
    """
    from lineage.core.paths import find_root

    root = find_root()
    folders = folders_of(root, name)
    check_nothing_is_lost(root)
    check_no_results(root)
    say(f"from {FOLDER}/{name}:")
    for file, target in CODE.items():
        shutil.copyfile(_find(folders, file), root / target)
        say(f"  {target}")
    for file, changes in SETTINGS.items():
        for folder in folders:
            say_changed(root / file, change_settings(root / file, folder / changes))
    for line in replace_data(root, folders):
        say(line)
    say(f"back: git restore . && dvc checkout --force {INBOX} {TEST_DATA}")
    say("next:")
    missing = " ".join(f"'{need}'" for need in needs_of(folders) if not is_locked(root, need))
    if missing:
        say(f"  uv add --frozen {missing} && make lock && make setup   # what it needs")
    say("  dvc repro")


def folders_of(root: Path, name: str) -> list[Path]:
    """List the folders of an example, the most general first: `neural-net`, `neural-net/torch`.

    Raises:
        BadInput: there is no such example.
    """
    examples = root / FOLDER
    found = sorted(path.parent for path in examples.rglob("experiment.py"))
    names = [path.relative_to(examples).as_posix() for path in found]
    if name not in names:
        problem = f"there is no example {name!r}; there are {', '.join(names)}"
        raise BadInput(problem, f"make example NAME={names[0]}")
    return [folder for folder in found if (examples / name).is_relative_to(folder)]


def check_nothing_is_lost(root: Path) -> None:
    """Check that what is replaced can be brought back: from Git, and from the cache of DVC.

    Raises:
        Refused: no commit holds a change, or DVC has not recorded the data.
    """
    from lineage.tracked.git import must_git
    from lineage.tracked.guarded_output import keep_recoverable
    from lineage.tracked.hashes import path_md5
    from lineage.tracked.recorded import recorded_md5

    for path in (INBOX, TEST_DATA):
        if not (root / path).exists():
            continue
        if path_md5(root / path) != recorded_md5(root, path):
            problem = f"{path} is not what {path}.dvc has recorded"
            remedy = f"dvc add {INBOX} {TEST_DATA} && git add --all && git commit --message Data"
            raise Refused(problem, remedy)
        keep_recoverable(root, path)
    changed = must_git(root, "status", "--porcelain", "--", ".").splitlines()
    if changed:
        problem = f"no commit holds what changed in {len(changed)} files: {changed[0][3:]} …"
        raise Refused(problem, "git add --all && git commit --message 'Before an example'")


def check_no_results(root: Path) -> None:
    """Check that the project has no results with which those of the example would mix.

    Raises:
        Refused: it has.
    """
    if (root / "dvc.lock").exists():
        problem = "the project has results of its own (dvc.lock); those of an example would mix"
        raise Refused(problem, f"{START_ANEW}   # nothing is lost: the commits name all of it")
    if (root / "data/train.parquet").exists():
        raise Refused("a dvc repro did not end: no dvc.lock records what it wrote", "dvc repro")


def change_settings(path: Path, changes: Path) -> list[str]:
    """Write what an example changes into `params.yaml` or `dvc.yaml`, and keep the comments.

    Args:
        path: the file of the project.
        changes: that of the example; it need not exist.

    Returns:
        the keys that it has: `model`, `promote.metric`.
    """
    if not changes.is_file():
        return []
    yaml = _yaml(path)
    settings = yaml.load(path)
    keys = []
    for section, new in yaml.load(changes).items():
        if section in WHOLE or section not in settings:
            settings[section] = new
            keys.append(section)
            continue
        for key, value in new.items():
            settings[section][key] = value
            keys.append(f"{section}.{key}")
    yaml.dump(settings, path)
    return keys


def _yaml(path: Path) -> YAML:
    """Make a reader and writer that leaves the form of a file as it is."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1000
    yaml.preserve_quotes = True
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar(NULL, "null")
    )
    if path.name == "dvc.yaml":
        yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def say_changed(path: Path, keys: list[str]) -> None:
    """Say which keys of a file were changed, if any were."""
    if keys:
        say(f"  {path.name}: {', '.join(keys)}")


def replace_data(root: Path, folders: list[Path]) -> Iterator[str]:
    """Put the data of an example in place; yield a line for each file.

    What lies there may be links into the cache of DVC, so it is removed, not written over.
    """
    inbox = root / INBOX
    inbox.mkdir(exist_ok=True)
    for old in inbox.iterdir():
        old.unlink()
    for path in sorted(_find(folders, "test.parquet").parent.glob("*.parquet")):
        target = inbox / path.name
        if path.name == Path(TEST_DATA).name:
            target = root / TEST_DATA
            target.unlink(missing_ok=True)
        shutil.copyfile(path, target)
        yield f"  {target.relative_to(root)}"


def _find(folders: list[Path], name: str) -> Path:
    """Find a file of an example, in the last of its folders that has it."""
    return next(folder / name for folder in reversed(folders) if (folder / name).is_file())


def needs_of(folders: list[Path]) -> list[str]:
    """List the packages that an example needs beside those of the project: `lightgbm>=4.5`."""
    files = [folder / "requirements.txt" for folder in folders]
    return [line for file in files if file.is_file() for line in file.read_text().splitlines()]


def is_locked(root: Path, need: str) -> bool:
    """Tell whether `requirements.lock` pins some version of a package."""
    pin = need.partition(">")[0] + "=="
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return any(line.startswith(pin) for line in lines)


if __name__ == "__main__":
    app()
