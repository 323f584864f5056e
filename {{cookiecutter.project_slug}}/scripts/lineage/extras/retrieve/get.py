"""Copy a file or folder of a version to build/VERSION, byte by byte."""

import difflib
import os
import re
import shutil
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lineage.core.console import progress
from lineage.core.errors import BadInput, Refused
from lineage.core.paths import PIPELINE_LOCK
from lineage.extras.retrieve.files_at_commit import (
    DVC,
    LINK,
    StoredFile,
    blob_bytes,
    blob_md5,
    files_in_git,
)
from lineage.extras.retrieve.worktree import add_worktree, remove_worktree
from lineage.merge.data import merge_data
from lineage.merge.rules import Rules
from lineage.tracked.cache import copy_out
from lineage.tracked.git import main_root, must_git
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import listing, obtain
from lineage.tracked.version_tags import find_tag
from lineage.tracked.whole_file import written_whole

PLAIN = re.compile(r"(?!(.*/)?\.(\.|git)(/|$))[^-:/\0-\x1f][^\0-\x1f]*")
"""A path that stays in the project, outside `.git`, and is no option and no pathspec of Git."""


def get(
    root: Path, version: str, artifact: str, output: Path | None, strategy: str, force: bool
) -> Path:
    """Bring back a file or folder of a version. HEAD, index, stash and working tree are left alone.

    Args:
        root: the project's root.
        version: `eX.Y.Z`.
        artifact: path in the project, as it was at that version.
        output: where to; an existing folder: into it; None: `build/VERSION/ARTIFACT`, which Git
            ignores.
        strategy: `cache` (DVC's cache, else its remote), `dvc-get`, `worktree` (a temporary one);
            `auto`: one after another.
        force: replace what is there.

    Returns:
        The path written.

    Raises:
        BadInput: a path that leads out of the project, or an output that would replace the project.
        Refused: no such tag or artifact, the output exists, or the bytes are nowhere.
    """
    path = check_path(artifact)
    commit = find_tag(root, version).commit
    target = output or root / "build" / version / path
    if output and target.is_dir():
        target /= Path(path).name
    _check_target(root, target, force)
    wanted = Wanted(root, version, commit, path, recorded_outputs(root, commit))
    wanted.check_exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for name in STRATEGIES if strategy == "auto" else [strategy]:
        with TemporaryDirectory(prefix=".get.", suffix=".tmp", dir=target.parent) as folder:
            made = Path(folder) / "new"
            try:
                STRATEGIES[name](wanted, made)
            except Refused as error:
                problems.append(error)
                continue
            if os.path.lexists(target):
                target.rename(made.with_name("old"))
            made.replace(target)
            return target
    raise Refused("\n".join(error.problem for error in problems), problems[0].remedy)


def fold_parts(data: Path) -> None:
    """Let one parquet file take the place of a folder of parts: the same rows, order and record.

    Raises:
        BadInput: the folder is none of parts.
    """
    with written_whole(data) as file:
        merge_data([data], [], file, Rules("merge"), data.name)


def _check_target(
    root: Path,
    target: Path,
    force: bool,
) -> None:
    """Refuse to replace the project, anything without `force`, and what is no file or folder."""
    place = target.resolve()
    if root.is_relative_to(place) or ".git" in place.parts:
        problem = f"--output {target} would replace the project"
        raise BadInput(problem, "--output copy   # or another path that does not exist yet")
    if os.path.lexists(target) and not force:
        remedy = "--force   # replaces it; or another --output"
        raise Refused(f"{target} exists; it is not overwritten", remedy)
    if target.exists() and not (target.is_file() or target.is_dir()):
        problem = f"--output {target} is neither a file nor a folder"
        raise BadInput(problem, "--output copy   # or another path that does not exist yet")


class Wanted(NamedTuple):
    """A path of the project at a version, with all outputs that DVC records there."""

    root: Path
    version: str
    commit: str
    path: str
    outputs: dict[str, str]

    def recorded(self, path: str) -> dict[str, str]:
        """Pick the outputs inside a path, and the one that the path lies in."""
        return {
            name: md5
            for name, md5 in self.outputs.items()
            if _within(name, path) or _within(path, name)
        }

    def files(self, path: str) -> dict[str, StoredFile]:
        """Find every file of a path: of Git, and of DVC, also inside folders that Git tracks."""
        found = files_in_git(self.root, self.commit, path)
        for name, md5 in self.recorded(path).items():
            for file, each in listing(self.root, md5).items():
                place = str(PurePosixPath(name, file))
                if _within(check_path(place), path):
                    found[place] = StoredFile(DVC, each)
        return found

    def check_exists(self) -> None:
        """Raise `Refused` with near matches when there is no such artifact, or it is a link."""
        try:
            found = self.files(self.path)
            modes = {stored.mode for stored in found.values()}
            if self.path in self.outputs or modes - {LINK}:
                return
            known = set(self.files("."))
        except Refused:  # a folder's listing is nowhere; the other strategies may know more
            return
        if found:
            raise Refused(
                f"{self.path} is a link or a submodule at {self.version}, not a file",
                f"git show {self.version}:./{self.path}",
            )
        lock = ""
        remedy = f"python scripts/experiment_explorer.py show --version {self.version}"
        if PIPELINE_LOCK not in known:
            lock = f" (which has no {PIPELINE_LOCK}, so no results)"
            remedy = f"git ls-tree -r --name-only {self.version}"
        problem = f"{self.path} is not in {self.version}{lock}{_near(self.path, known)}"
        raise Refused(problem, f"{remedy}   # lists what is in it")

    def place(self, made: Path, name: str) -> Path:
        """Return the place of one of the files in what was made: a file, or a folder of files."""
        return Path(f"{made}{name.removeprefix(self.path)}")

    def check(self, made: Path) -> None:
        """Raise `Refused` unless every file that DVC made is what DVC or Git recorded."""
        for name, stored in self.files(self.path).items():
            file = self.place(made, name)
            is_whole = file.is_symlink() == (stored.mode == LINK)
            if is_whole and stored.mode != LINK:
                md5 = stored.name if stored.mode == DVC else blob_md5(self.root, stored.name)
                is_whole = file.is_file() and file_md5(file) == md5
            if not is_whole:
                raise Refused(
                    f"{name} of {self.version} did not come back as it was recorded ({stored.name})"
                )


def _near(path: str, known: set[str]) -> str:
    """Name the files and folders that may have been meant."""
    for name in list(known):
        known.update(map(str, list(PurePosixPath(name).parents)[:-1]))
    near = sorted(name for name in known if Path(name).name == Path(path).name)
    near += difflib.get_close_matches(path, known, 5)
    return f"; near matches: {', '.join(dict.fromkeys(near))}" if near else ""


def check_path(artifact: str) -> str:
    """Return a path relative to the project's root in its plain form.

    Raises:
        BadInput: it is absolute, leads out of the project, or could be an option.
    """
    path = PurePosixPath(artifact)
    if not path.parts or not PLAIN.fullmatch(artifact):
        problem = f"{artifact!r} is not a path inside the project"
        raise BadInput(problem, "--artifact models/production/model.bin   # for example")
    return path.as_posix()


def _within(path: str, folder: str) -> bool:
    return folder == "." or f"{path}/".startswith(f"{folder}/")


def _from_objects(wanted: Wanted, target: Path) -> None:
    found = wanted.files(wanted.path)
    if not found:
        raise Refused(
            f"{wanted.path} is not in {wanted.version}, as far as its listings can be read",
            "python scripts/doctor.py --send   # on the machine that made the version",
        )
    with progress(f"bringing {wanted.path}", len(found)) as show:
        for done, (name, stored) in enumerate(found.items()):
            show(done)
            _write_stored(wanted.root, stored, wanted.place(target, name))


def _write_stored(root: Path, stored: StoredFile, file: Path) -> None:
    """Write the bytes of a file as it is stored, verified."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if stored.mode == DVC:
        copy_out(obtain(root, stored.name), file)
    elif stored.mode == LINK:
        file.symlink_to(os.fsdecode(blob_bytes(root, stored.name)))
    else:
        file.write_bytes(blob_bytes(root, stored.name))
        file.chmod(int(stored.mode[-3:], 8))


def _from_dvc(wanted: Wanted, target: Path) -> None:
    from dvc.repo import Repo

    where = must_git(main_root(wanted.root), "rev-parse --show-toplevel --show-prefix")
    top, _, prefix = where.partition("\n")
    unlinked = {"cache": {"type": ["copy"]}}  # else DVC hands out a link into its cache
    try:
        path = prefix + wanted.path
        Repo.get(top, path, out=str(target), rev=wanted.commit, config=unlinked)
    except Exception as error:  # DVC's libraries have exceptions of their own
        raise Refused(f"dvc get: {error}") from None
    wanted.check(target)


def _from_worktree(wanted: Wanted, target: Path) -> None:
    from dvc.repo import Repo

    folder = target.with_name("worktree")
    try:
        project = add_worktree(wanted.root, folder, "--detach", wanted.commit)
        names = [str(project / name) for name in wanted.recorded(wanted.path)]
        if names:
            with Repo(str(project)) as repo:
                bring = repo.pull if repo.config["core"].get("remote") else repo.checkout
                bring(targets=names)
        source = project / wanted.path
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
    except Exception as error:
        raise Refused(f"worktree: {error}") from None
    finally:
        remove_worktree(wanted.root, folder)
    wanted.check(target)


STRATEGIES = {"cache": _from_objects, "dvc-get": _from_dvc, "worktree": _from_worktree}
