"""`experiment.py`: the one file that a user replaces, imported and checked."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from lineage.core.errors import BadInput
from lineage.core.paths import EXPERIMENT

FUNCTIONS = ("load_data", "fit", "evaluate", "save_model", "load_model")
"""What `experiment.py` has to define; their contracts are documented there."""


def load_experiment(root: Path) -> ModuleType:
    """Import `experiment.py` of a project, which may import the modules that lie beside it.

    Returns:
        the module; it has all of `FUNCTIONS`.

    Raises:
        BadInput: it is missing, cannot be imported, or lacks one of the functions.
    """
    path = root / EXPERIMENT
    if not path.is_file():
        raise BadInput(f"{path} is missing", f"git checkout -- {EXPERIMENT}")
    if str(root) not in sys.path:  # and it stays there: fit() may import a module beside it, too
        sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location("experiment", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["experiment"] = module  # so that objects it defines can be sent to workers
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInput(
            f"{EXPERIMENT} cannot be imported: {type(error).__name__}: {error}",
            f"python {EXPERIMENT}",
        ) from error
    for name in FUNCTIONS:
        if not callable(getattr(module, name, None)):
            raise BadInput(
                f"{EXPERIMENT} has no function {name}()",
                f"define {', '.join(FUNCTIONS)}; see docs/experiment.md",
            )
    return module


def imported_files(root: Path) -> list[str]:
    """List the project's own files that this process imported, relative to its root."""
    names = []
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or sys.prefix)
        is_own = path.is_relative_to(root) and not path.is_relative_to(root / "scripts")
        if is_own and not path.is_relative_to(sys.prefix):
            names.append(path.relative_to(root).as_posix())
    return names
