"""`experiment.py`: the one file that a user replaces, found and checked."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.core.errors import BadInput
from lineage.core.paths import EXPERIMENT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ExperimentFile:
    """The functions of `experiment.py`; their contracts are documented there."""

    load_data: Callable[[Path], pd.DataFrame]
    fit: Callable[[pd.DataFrame, dict[str, Any]], Any]
    evaluate: Callable[[Any, pd.DataFrame], tuple[dict[str, float], pd.DataFrame]]
    save_model: Callable[[Any, Path], None]
    load_model: Callable[[Path], Any]


def load_experiment(root: Path) -> ExperimentFile:
    """Import `experiment.py` of a project.

    Raises:
        BadInput: it is missing, cannot be imported, or lacks one of the functions.
    """
    path = root / EXPERIMENT
    if not path.is_file():
        raise BadInput(f"{path} is missing", f"git checkout -- {EXPERIMENT}")
    spec = importlib.util.spec_from_file_location("experiment", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["experiment"] = module  # so that objects it defines can be sent to workers
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = getattr(error, "lineno", None)
        problem = (
            f"{EXPERIMENT} cannot be imported: {type(error).__name__}: {error}"
            + f" (line {line})" * bool(line)
        )
        raise BadInput(problem, f"python {EXPERIMENT}") from error
    names = list(ExperimentFile.__dataclass_fields__)
    if missing := [name for name in names if not callable(getattr(module, name, None))]:
        problem = f"{EXPERIMENT} has no function {missing[0]}()"
        raise BadInput(problem, f"define {', '.join(names)}; see docs/use-cases.md")
    return ExperimentFile(*(getattr(module, name) for name in names))
