"""The verb behind `experiment_explorer.py get`: an artifact of a version, brought back byte by byte."""

from __future__ import annotations

import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal

from lineage import layout
from lineage.errors import BadInput, Refused
from lineage.exploring import add_worktree, remove_worktree
from lineage.objects import copy_out, listing, obtain
from lineage.records import path_md5, recorded_outputs
from lineage.repository import common_folder, git, git_bytes, main_root
from lineage.versions import Tag, find_tag

Strategy = Literal["auto", "cache", "dvc-get", "worktree"]
Sources = dict[str, tuple[str, str]]
"""Each file's path, with `md5` and its hash, or with its mode in Git and its blob."""

LINK, MODULE = "120000", "160000"


def get(root: Path, version: str, artifact: str, output: Path | None, strategy: Strategy, force: bool) -> Path:
    """Bring back a file or folder of a version. HEAD, index, stash and working tree are left alone.

    Args:
        root: the project's root.
        version: `eX.Y.Z`.
        artifact: path in the project, as it was at that version.
        output: where to; an existing folder: into it; None: `build/VERSION/ARTIFACT`, which Git ignores.
        strategy: `cache` (DVC's cache, else its remote), `dvc-get`, `worktree` (a temporary one); auto: one after another.
        force: replace what is there.
    Returns:
        the path written.
    Raises:
        BadInput: a path that leads out of the project, or an output that would replace the project.
        Refused: no such tag or artifact, the output exists, or the bytes are nowhere.
    """
    path, tag = check_path(artifact), find_tag(root, version)
    target = output or root / "build" / version / path
    target = target / PurePosixPath(path).name if output and target.is_dir() else target
    if root.is_relative_to(target.resolve()) or ".git" in target.resolve().parts:
        raise BadInput(f"--output {target} would replace the project", "give a path that does not exist yet")
    if not force and (target.exists() or target.is_symlink()):
        raise Refused(f"{target} exists, and nothing is overwritten", "give another --output, or --force to replace it")
    wanted = Wanted(root, tag, path, recorded_outputs(root, tag.commit))
    wanted.check_exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for name in WAYS if strategy == "auto" else [strategy]:
        with TemporaryDirectory(prefix=".get.", suffix=".tmp", dir=target.parent) as folder:
            made = Path(folder) / "new"
            try:
                WAYS[name](wanted, made)
            except Refused as error:
                problems.append(error)
                continue
            if target.is_dir() and not target.is_symlink():
                target.rename(Path(folder) / "old")
            made.replace(target)
            return target
    raise Refused("\n".join(error.problem for error in problems), problems[0].remedy)


@dataclass(frozen=True)
class Wanted:
    """A path of the project at a tag, with all outputs that DVC records there."""

    root: Path
    tag: Tag
    path: str
    outputs: dict[str, str]

    def files(self, path: str) -> Sources:
        """Find every file of a path: those that Git tracks, and those that DVC records, also inside tracked folders."""
        found: Sources = {}
        for entry in (git(self.root, "ls-tree", "-r", "-z", self.tag.commit, "--", ".") or "").split("\0")[:-1]:
            about, _, name = entry.partition("\t")
            if _within(name, path):
                found[name] = (about.split()[0], about.split()[2])
        for name, md5 in self.outputs.items():
            inside = {name: md5}
            if md5.endswith(".dir") and (_within(name, path) or _within(path, name)):
                inside = {f"{name}/{file}": each for file, each in listing(main_root(self.root), md5).items()}
            found.update({file: ("md5", each) for file, each in inside.items() if _within(check_path(file), path)})
        return found

    def check_exists(self) -> None:
        """Raise `Refused` with near matches when there is no such artifact, or it is a link."""
        try:
            found = self.files(self.path)
            if self.path in self.outputs or any(mode not in (LINK, MODULE) for mode, _ in found.values()):
                return
            known = set(self.files("."))
        except Refused:  # a folder's listing is nowhere; the other strategies may know more
            return
        version = self.tag.version
        if found:
            remedy = f"git show {version}:./{self.path}"
            raise Refused(f"{self.path} is a link or a submodule at {version}, not a file", remedy)
        known |= {parent.as_posix() for name in known for parent in PurePosixPath(name).parents if parent.parts}
        near = sorted(name for name in known if PurePosixPath(name).name == PurePosixPath(self.path).name)
        near += difflib.get_close_matches(self.path, known, 5)
        hint = f"; near matches: {', '.join(dict.fromkeys(near))}" if near else ""
        lock = "" if layout.PIPELINE_LOCK in known else f" (which has no {layout.PIPELINE_LOCK}, so no results)"
        remedy = f"python scripts/experiment_explorer.py show --version {version}   # lists its artifacts"
        raise Refused(f"{self.path} is not in {version}{lock}{hint}", remedy)


def check_path(artifact: str) -> str:
    """Return a path relative to the project's root in its plain form.

    Raises:
        BadInput: it is absolute, leads out of the project, or could be an option.
    """
    path = PurePosixPath(artifact)
    bad = not path.parts or path.is_absolute() or ".." in path.parts or artifact.startswith("-") or ":" in artifact[:1]
    if bad or any(ord(character) < 32 for character in artifact) or ".git" in path.parts:
        raise BadInput(f"{artifact!r} is not a path inside the project", "give it as in models/production/model.bin")
    return path.as_posix()


def _within(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def _from_objects(wanted: Wanted, target: Path) -> None:
    found = wanted.files(wanted.path)
    if wanted.path not in found:
        target.mkdir()
    for name, (kind, source) in found.items():
        file = target if name == wanted.path else target / PurePosixPath(name).relative_to(wanted.path)
        if kind == "md5":
            copy_out(obtain(main_root(wanted.root), source), file)
        elif kind not in (LINK, MODULE):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(git_bytes(wanted.root, "cat-file", "blob", source) or b"")
            file.chmod(int(kind[-3:], 8))


def _from_dvc(wanted: Wanted, target: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    top, prefix = common_folder(wanted.root) or wanted.root, git(wanted.root, "rev-parse", "--show-prefix") or ""
    try:
        Repo.get(str(top.parent), prefix + wanted.path, out=str(target), rev=wanted.tag.commit)
    except (DvcException, OSError) as error:
        raise Refused(f"dvc get: {error}") from None
    _verify(wanted, target)


def _from_worktree(wanted: Wanted, target: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    folder = target.with_name("worktree")
    try:
        project = add_worktree(wanted.root, wanted.tag.commit, folder)
        names = [name for name in wanted.outputs if _within(name, wanted.path) or _within(wanted.path, name)]
        if names:
            with Repo(str(project)) as repo:
                bring = repo.pull if repo.config["core"].get("remote") else repo.checkout
                bring(targets=[str(project / name) for name in names])
        source = project / wanted.path
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    except (DvcException, OSError) as error:
        raise Refused(f"worktree: {error}") from None
    finally:
        remove_worktree(wanted.root, folder)
    _verify(wanted, target)


def _verify(wanted: Wanted, made: Path) -> None:
    """Raise `Refused` unless what DVC made has the recorded hash; `obtain` has checked what comes from the cache."""
    md5 = wanted.outputs.get(wanted.path)
    if md5 is not None and path_md5(made) != md5:
        raise Refused(f"{wanted.path} of {wanted.tag.version} did not come back as {md5}")


WAYS = {"cache": _from_objects, "dvc-get": _from_dvc, "worktree": _from_worktree}
