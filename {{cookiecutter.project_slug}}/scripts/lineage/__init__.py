"""The package of stages and commands; `import lineage` gives runs, data and models in Python.

    import lineage                                  # in a notebook, a test, a REPL: docs/python.md

    lineage.runs(where="model_C>=1.0")              # runs, best first
    lineage.predictions("e0.1.0")                   # of a version, or of a run by its id
    lineage.events("e0.1.0")                        # what these runs logged
    lineage.data("e0.1.0")                          # what they were trained on
    lineage.load_model("production")                # or that of a version, or of a run
    lineage.sql("SELECT source, max(f1_score) FROM metrics GROUP BY source", ["e0.1.0", "."])

These functions only read: nothing of the project changes, and no file is made in it. They mean the
project around the current folder. What is wrong raises `lineage.core.errors.BadInput` or `Refused`,
which say what helps. Everything else is in rooms, from the ground up:

core      params, paths, errors, the console, version numbers, loading experiment.py
tables    SQLite, parquet and DuckDB files as relations of one engine, and rows written back
tracked   what Git and DVC have recorded, and the guarded output: the one door for what accumulates
merge     what merge and rebase mean, once, for every kind of file
runs      the plan of a sweep, its workers, and each run's database and model
results   the leaderboard, and the small files that DVC plots
models    the gate, the model in production and its card, the candidates
versions  tags: which number is next; made, and sent
setup     making a project ready to work in
extras    what a project can do without; each folder of it can be deleted: the functions above,
          commands by hand, worktrees, Git's merge driver, S3, search, cluster, report, formats

The template keeps this package up to date (`make update`): what you change here is yours to carry
along. Each room says what may be changed in it without breaking what it promises.
A room imports only from rooms above it in this list. To change what a merge means, read `merge`;
to change what becomes production, read `models`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lineage.core.errors import BadInput, explain_missing

if TYPE_CHECKING:
    from lineage.extras.access.functions import data, events, load_model, predictions, runs, sql

__all__ = ["data", "events", "load_model", "predictions", "runs", "sql"]


class _Face(ModuleType):
    """The package as a module whose functions are loaded when they are asked for.

    `runs` stays the function when the room of that name is imported, which Python would set here;
    what imports from `lineage.runs` finds that room elsewhere.
    """

    def __getattr__(self, name: str) -> Any:
        if name in __all__:
            try:
                with explain_missing("access", f"lineage.{name}"):
                    from lineage.extras.access import functions
                return getattr(functions, name)
            except BadInput as error:
                raise AttributeError(str(error)) from None
        raise AttributeError(f"module 'lineage' has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        if name != "runs":
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return __all__


sys.modules[__name__].__class__ = _Face
