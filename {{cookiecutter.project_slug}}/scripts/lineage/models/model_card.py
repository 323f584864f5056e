"""Read and write the card of production, `model.json`; `production.make_card` fills it.

It says of the model's run what the row of the run says, by the same names, and its `params` and
`metrics` apart from that. Beside these it holds

- `environment`: Python, the platform, and the packages that were loaded when it was promoted;
- `input_signature`: columns and dtypes of the training data as `load_data` returns them; null: they
  could not be read;
- `promoted_at`: UTC, ISO 8601; `reason`;
- `replaced`: run id of the model before; null: there was none;
- `by_hand`: a user chose it, so no gate stood against it;
- `compared`: run ids of the models that were compared with it, or that were there when it was
  promoted. They do not challenge it again;
- `compared_under`: test data, evaluation code and rules for which that holds.
"""

import json
import platform
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.core.experiment_file import load_experiment
from lineage.tracked.hashes import path_md5
from lineage.tracked.remote import recorded_data
from lineage.tracked.whole_file import write_text

MODULE = re.compile(r"^(\w+)(?:/.*)?\.py,", re.MULTILINE)
"""A line of a package's list of files, as far as it names what is imported."""

MODEL = "model.bin"
CARD = "model.json"
Card = dict[str, Any]
"""The content of `model.json`."""


def read_card(root: Path) -> Card | None:
    """Read the card of the model in production; None when there is none.

    Raises:
        Refused: it is damaged.
    """
    path = root / paths.PRODUCTION / CARD
    try:
        card: Card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Refused(
            f"{path} is damaged: {error}", f"dvc checkout --force {paths.PRODUCTION}"
        ) from None
    return card


def write_card(folder: Path, card: Card) -> None:
    """Write a card into the folder of its model, whole."""
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")


def as_row(card: Card) -> Card:
    """Give what a card says as a row of `metrics` does: params and metrics by name."""
    return {**card["params"], **card["metrics"], **card}


def describe_environment() -> dict[str, Any]:
    """Name Python, the platform and every loaded package with its version."""
    # packages_distributions() would be shorter, but misses most packages before Python 3.11
    from importlib.metadata import distributions

    packages = {}
    for package in distributions():
        files = package.read_text("RECORD") or ""  # `files` parses all: half a second
        if not sys.modules.keys().isdisjoint(MODULE.findall(files)):
            packages[package.name] = package.version
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items())),
    }


def read_signature(root: Path, data_hash: str | None) -> dict[str, str] | None:
    """Read columns and dtypes of training data, as `load_data` of `experiment.py` returns them.

    Args:
        root: the project's root.
        data_hash: of the training data that the model saw, which may be an earlier version.

    Returns:
        None where there is no signature; why is said.
    """
    try:
        if data_hash is None:
            raise Refused("its row names no training data")
        data = root / paths.TRAIN_DATA
        is_present = data.exists() and path_md5(data) == data_hash
        with nullcontext(data) if is_present else recorded_data(root, data_hash) as train:
            frame = load_experiment(root).load_data(train)
        return {str(name): str(kind) for name, kind in frame.dtypes.items()}
    except Exception as error:  # load_data is the user's; without a signature it is still the model
        say(f"no input signature in {CARD}: {' '.join(str(error).split())}")
        return None
