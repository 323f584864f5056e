"""`params.yaml`, read once and checked as a whole."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lineage.core.errors import BadInput
from lineage.core.param_names import check_name, flatten
from lineage.core.version_numbers import VERSION

Strategy = Literal["merge", "rebase"]
OnConflict = Literal["fail", "base", "incoming", "newest"]
Name = Annotated[str, AfterValidator(check_name)]


class Section(BaseModel):
    """A part of `params.yaml`; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Experiment(Section):
    version: str = Field(pattern=VERSION)
    description: str
    author: str


class Sweep(Section):
    grid: dict[str, list[Any]] = {}
    runs: list[dict[str, Any]] = []
    jobs: int = -1
    threads: int = Field(default=1, ge=1)
    on_error: Literal["fail", "keep"] = "fail"
    backend: Literal["loky"] = "loky"


class Merge(Section):
    strategy: Strategy
    tables: list[Name] = Field(min_length=1)
    key_columns: list[Name]
    on_conflict: OnConflict = "fail"
    data_strategy: Strategy
    data_key_columns: list[Name]
    data_on_conflict: OnConflict = "fail"


class Promote(Section):
    strategy: Strategy
    metric: Name
    mode: Literal["max", "min"]
    min_improvement: float = Field(ge=0)
    keep: int = Field(ge=1)


class Params(Section):
    experiment: Experiment
    model: dict[str, Any]
    sweep: Sweep = Sweep()
    merge: Merge
    promote: Promote


def read_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Args:
        path: the file.
    Raises:
        BadInput: the file is missing or not YAML, or a key or value is wrong; every problem is one line that names
            the key, the value and what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} is missing", "git checkout -- params.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise BadInput(
            f"{path.name} must be a mapping of sections (experiment, model, merge, promote)"
        )
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise BadInput(
            "\n".join(f"{path.name}: {_explain(problem)}" for problem in error.errors())
        ) from None
    _check_sweep(path, params)
    return params


def _check_sweep(path: Path, params: Params) -> None:
    if params.sweep.jobs != -1 and params.sweep.jobs < 1:
        problem = f"{path.name}: sweep.jobs: {params.sweep.jobs} is not allowed; allowed: -1 (all cores) or a positive whole number"
        raise BadInput(problem)
    known = [key for key, _ in flatten("model", params.model, ".")]
    places = [("grid", key) for key in params.sweep.grid]
    places += [
        (f"runs[{number}]", key) for number, point in enumerate(params.sweep.runs) for key in point
    ]
    for place, key in places:
        if key not in known:
            raise BadInput(
                f"{path.name}: sweep.{place}: {key!r} is not a param; allowed: {', '.join(known)}"
            )
    for key, values in params.sweep.grid.items():
        if not values:
            raise BadInput(
                f"{path.name}: sweep.grid.{key}: the list is empty; give at least one value"
            )


def _explain(problem: Any) -> str:
    """Turn one pydantic error into a line that names key, value and what is allowed."""
    where = ".".join(str(part) for part in problem["loc"])
    kind, value = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        *parents, key = problem["loc"]
        section: Any = Params.model_fields[parents[0]].annotation if parents else Params
        close = difflib.get_close_matches(str(key), section.model_fields, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{where} is not a known key{hint}; allowed here: {', '.join(section.model_fields)}"
    if kind == "missing":
        return f"{where} is missing"
    if kind == "literal_error":
        return f"{where}: {value!r} is not allowed; allowed: {problem['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        return f"{where}: {value!r} is not a version; allowed: e{{major}}.{{minor}}.{{patch}}, as in e0.1.0"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {value!r} is not allowed: {reason[:1].lower()}{reason[1:]}"
