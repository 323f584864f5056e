"""Read `params.yaml` as DVC reads it, and check it as a whole: each problem is one line."""

import difflib
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from lineage.core.errors import BadInput
from lineage.core.param_names import check_name, flatten
from lineage.core.version_numbers import VERSION

Strategy = Literal["merge", "rebase"]
OnConflict = Literal["fail", "base", "incoming", "newest"]
Name = Annotated[str, AfterValidator(check_name)]
GPUS = {
    "loky": (r"'auto'|\d+", "0, a positive whole number, or auto"),
    "dask": ("0", "0 with backend: dask, whose workers see what they were given"),
}
"""How `sweep.gpus` may look, by backend, and how that is said."""


class Section(BaseModel):
    """A part of `params.yaml`; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Experiment(Section):
    """`experiment`: what every row and tag carries."""

    version: str = Field(pattern=VERSION)
    description: str
    author: str


class Search(Section):
    """`sweep.search`: runs whose params Optuna draws, each by what came out before it.

    `space` holds, by key of `model`, a list of values or a range `{low, high, log, step}`.
    """

    trials: int = Field(default=0, ge=0)
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = Field(default=0, ge=0)
    space: dict[str, Any] = {}


class Sweep(Section):
    """`sweep`: which runs there are, and how they are done."""

    grid: dict[str, list[Any]] = {}
    runs: list[dict[str, Any]] = []
    jobs: int = -1
    threads: int = Field(default=1, ge=1)
    gpus: Any = 0
    runs_per_gpu: int = Field(default=1, ge=1)
    on_error: Literal["fail", "keep"] = "fail"
    backend: Literal["loky", "dask"] = "loky"
    address: str = ""
    scheduler: Literal["", "slurm", "pbs"] = ""
    search: Search = Search()


class Validation(Section):
    """`validation`: which rows of the training data are set aside, to choose runs by."""

    fraction: float = Field(default=0.0, ge=0, lt=1)
    by: list[Name] = []
    after: datetime | None = Field(default=None, strict=False)

    @property
    def is_on(self) -> bool:
        """Tell whether rows are set aside."""
        return self.fraction > 0 or self.after is not None


class Merge(Section):
    """`merge`: how new results and new training data are accumulated."""

    strategy: Strategy
    tables: list[Name] = Field(default=["metrics", "events"], min_length=1)
    key_columns: list[Name]
    on_conflict: OnConflict = "fail"
    cast: Literal["none", "text"] = "none"
    data_strategy: Strategy
    data_key_columns: list[Name]
    data_on_conflict: OnConflict = "fail"
    data_test_overlap: Literal["fail", "exclude", "allow"] = "fail"
    data_layout: Literal["file", "parts"] = "file"
    engine: Literal["duckdb", "dask"] = "duckdb"
    shuffle: str = ""


class Promote(Section):
    """`promote`: which model goes into production."""

    strategy: Strategy
    metric: Name
    mode: Literal["max", "min"]
    min_improvement: float = Field(ge=0)
    confidence: float | None = Field(default=None, gt=0, lt=1)
    pinned: bool = False
    keep: int = Field(ge=1)


class Params(Section):
    """The whole of `params.yaml`."""

    experiment: Experiment
    model: dict[str, Any]
    sweep: Sweep = Sweep()
    validation: Validation = Validation()
    merge: Merge
    promote: Promote


def parse_yaml(text: str | bytes) -> Any:
    """Read YAML 1.2 as DVC does: `1e-3` is a number, `010` is ten, `on` is text.

    Raises:
        YAMLError: it is not YAML.
    """
    return YAML(typ="safe").load(text)


def read_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Args:
        path: the file.

    Raises:
        BadInput: the file is not YAML, or a key or value is wrong; every problem is one
            line that names the key, the value and what is allowed.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise BadInput(
            f"{path.name} must be a mapping of sections (experiment, model, merge, promote)"
        )
    try:
        params = Params.model_validate(content)
        problems = [*_wrong_in_validation(params.validation), *_wrong_in_sweep(params)]
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors()]
    if problems:
        raise BadInput("\n".join(f"{path.name}: {problem}" for problem in problems))
    return params


def with_version(text: str, version: str) -> str:
    """Change `experiment.version` in the text of `params.yaml`; all else stays, comments too.

    Args:
        text: of a valid file.
        version: the new one.

    Raises:
        BadInput: the version does not stand there as text, but as an alias, say.
    """
    wanted = parse_yaml(text)
    old = wanted["experiment"]["version"]
    wanted["experiment"]["version"] = version
    for place in re.finditer(re.escape(old), text):
        changed = text[: place.start()] + version + text[place.end() :]
        if parse_yaml(changed) == wanted:
            return changed
    raise BadInput(
        "params.yaml: experiment.version does not stand there as text",
        f"write in params.yaml: version: {version}",
    )


def _wrong_in_validation(section: Validation) -> Iterator[str]:
    """Say what is wrong in a validation whose params are right one by one."""
    if section.after and (section.fraction or len(section.by) != 1):
        allowed = "allowed with it: fraction 0.0, and one column in by, which holds the time"
        yield f"validation.after: fraction is {section.fraction}, by is {section.by}; {allowed}"


def _wrong_in_sweep(params: Params) -> Iterator[str]:
    """Say what is wrong in the sweep of params that are right one by one."""
    sweep = params.sweep
    if sweep.jobs != -1 and sweep.jobs < 1:
        allowed = "allowed: -1 (all cores) or a positive whole number"
        yield f"sweep.jobs: {sweep.jobs} is not allowed; {allowed}"
    pattern, allowed = GPUS[sweep.backend]
    if not re.fullmatch(pattern, repr(sweep.gpus)):
        yield f"sweep.gpus: {sweep.gpus!r} is not allowed; allowed: {allowed}"
    known = dict(flatten("model", params.model, "."))
    points = {f"runs[{number}]": point for number, point in enumerate(sweep.runs)}
    searched = sweep.search.space if sweep.search.trials else {}
    for place, point in {"grid": sweep.grid, **points, "search.space": searched}.items():
        for key in point:
            if key not in known:
                yield f"sweep.{place}: {key!r} is not a param; allowed: {', '.join(known)}"
    for key, values in sweep.grid.items():
        if not values:
            yield f"sweep.grid.{key}: the list is empty; give at least one value"


def _explain(problem: Any) -> str:
    """Turn one error of pydantic into a line that names key, value and what is allowed."""
    where = ".".join(str(part) for part in problem["loc"])
    value = problem["input"]
    match problem["type"]:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"{where} is not a known key{_known_keys(*problem['loc'])}"
        case "literal_error":
            return f"{where}: {value!r} is not allowed; allowed: {problem['ctx']['expected']}"
        case "string_pattern_mismatch":
            allowed = "allowed: e{major}.{minor}.{patch}, as in e0.1.0"
            return f"{where}: {value!r} is not a version; {allowed}"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {value!r} is not allowed: {reason[:1].lower()}{reason[1:]}"


def _known_keys(*place: Any) -> str:
    """Say which keys stand where one is unknown, and which of them it is like."""
    *parents, key = place
    section: Any = Params
    for parent in parents:
        section = section.model_fields[parent].annotation
    close = difflib.get_close_matches(str(key), section.model_fields, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}; allowed here: {', '.join(section.model_fields)}"
