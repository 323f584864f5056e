"""The models of a project (`open_models`), and the bytes of a run's model."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.code_hash import code_files, code_hash
from lineage.core.errors import BadInput, Refused
from lineage.core.params import Promote, read_params
from lineage.models.model_card import MODEL
from lineage.results.leaderboard import Row, best_runs, existing_database, present_conditions
from lineage.runs.model_file import model_name, models_in
from lineage.tracked.code_at_commit import find_code
from lineage.tracked.git import git
from lineage.tracked.hashes import listing_md5, path_md5
from lineage.tracked.remote import link_objects, listing, obtain
from lineage.tracked.whole_file import remove

HISTORY = "log --all --patch --text --no-color --no-ext-diff --format= --"


@dataclass(frozen=True)
class Models:
    """The models of a project: where they and the rows of their runs are, what “best” means.

    Attributes:
        root: the project's root.
        database: the results database.
        promote: the section `promote` of params.yaml.
    """

    root: Path
    database: Path
    promote: Promote

    def best_runs(self, **chosen: Any) -> list[Row]:
        """Read rows of runs, best first; takes what `leaderboard.best_runs` takes."""
        promote = self.promote
        return best_runs(self.database, promote.metric, promote.mode, first=self.present, **chosen)

    @cached_property
    def present(self) -> Row:
        """The hashes of the test data and of the evaluation code that lie in the project."""
        return present_conditions(self.root)

    @property
    def rules(self) -> Row:
        """What a comparison of two models depends on; after a change of it, it says nothing."""
        return {**self.present, **self.promote.model_dump(exclude={"strategy", "keep", "pinned"})}

    def gain(self, new: float, old: float) -> float:
        """How much better a value of the metric is than another; negative where it is worse."""
        return new - old if self.promote.mode == "max" else old - new

    @property
    def new(self) -> dict[str, Path]:
        """The models that `train` has made, by the id of their run."""
        return models_in(self.root / paths.TRAINED_MODELS)

    @property
    def kept(self) -> dict[str, Path]:
        """The candidates, by the id of their run."""
        return models_in(self.root / paths.CANDIDATES)

    def covers(self, run: Row) -> bool:
        """Tell whether a run was measured on the present test data by the present code."""
        return bool(self.present) and self.present.items() <= run.items()


def open_models(database: Path | None = None) -> Models:
    """Find the project around the current folder.

    Args:
        database: the results database; None: the project's own.

    Raises:
        BadInput: no project, a wrong params.yaml, or no such database.
    """
    root = paths.find_root()
    promote = read_params(root / paths.PARAMS).promote
    return Models(root, existing_database(database or root / paths.DATABASE), promote)


def find_model(root: Path, run: Row) -> Path:
    """Find the bytes of a run's model: in the model folders, the cache or the remote.

    Args:
        root: the project's root.
        run: its row of `metrics`.

    Returns:
        a file or a folder with exactly these bytes.

    Raises:
        Refused: the bytes are nowhere.
        BadInput: the row's run id or hash cannot be one.
    """
    name = model_name(run["track_id"])
    md5 = run["model_hash"]
    if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", str(md5)):
        raise BadInput(f"model_hash of run {run['track_id']} is {md5!r}, not an md5")
    for place in (
        f"{paths.TRAINED_MODELS}/{name}",
        f"{paths.CANDIDATES}/{name}",
        f"{paths.PRODUCTION}/{MODEL}",
    ):
        path = root / place
        if path.exists() and path_md5(path) == md5:
            return path
    try:
        return _folder(root, name, md5) if md5.endswith(".dir") else obtain(root, md5)
    except Refused as error:
        raise Refused(
            f"the model of run {run['track_id']} ({run['version']}): {error.problem}", error.remedy
        ) from None


def _folder(root: Path, name: str, md5: str) -> Path:
    """Put a model that is a folder together: of its files DVC has objects, of itself it has none.

    Raises:
        Refused: no commit records it, or an object is nowhere.
    """
    for recorded in recorded_folders(root):
        with suppress(Refused):
            files = {}
            for path, file_md5 in listing(root, recorded).items():
                if path.startswith(f"{name}/"):
                    files[path.removeprefix(f"{name}/")] = file_md5
            if listing_md5(files) == md5:
                place = root / ".dvc/tmp/lineage" / md5
                remove(place)
                link_objects(root, files, place)
                return place
    raise Refused(f"no commit records the folder {md5}", "git fetch --all")


def recorded_folders(root: Path) -> list[str]:
    """List the hashes of all folders that the `dvc.lock` of any commit names, the newest first."""
    history = git(root, HISTORY, paths.PIPELINE_LOCK) or ""
    return list(dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\.dir\b", history)))


def missing_code(root: Path, run: Row) -> Refused | None:
    """Say that the code which a run's model needs is not on this branch, now or earlier.

    Returns:
        the merge that brings it is the remedy; None where the code is here, or not known.
    """
    md5 = run.get("code_hash")
    if md5 in (None, code_hash(code_files(root))) or find_code(root, md5, "HEAD"):
        return None
    version = run["version"]
    commit = find_code(root, md5, "--all")
    if commit is None:
        return Refused(
            f"needs the code of {version}, which no commit here has", "git fetch --all --tags"
        )
    tag = git(root, f"tag --contains={commit} --list", version)
    return Refused(f"needs the code of {version}", f"git merge {tag or commit[:10]}")
