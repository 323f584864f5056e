"""The verb behind `experiment_explorer.py get`: an artifact of a version, brought back byte by byte."""

import difflib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from lineage.branches.worktree import add_worktree, remove_worktree
from lineage.core import paths
from lineage.core.errors import BadInput, Refused
from lineage.tracked.git import common_folder, git, git_bytes, main_root
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import bring, listing
from lineage.tracked.whole_file import exchange
from lineage.versions.tags import Tag, find_tag

Sources = dict[str, tuple[str, str]]
"""Each file's path, with `md5` and its hash, or with its mode in Git and its blob."""

LINK, MODULE = "120000", "160000"


def get(
    root: Path, version: str, artifact: str, output: Path | None, strategy: str, force: bool
) -> Path:
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
        raise BadInput(
            f"--output {target} would replace the project", "give a path that does not exist yet"
        )
    present = target.exists() or target.is_symlink()
    if present and not force:
        raise Refused(
            f"{target} exists, and nothing is overwritten",
            "give another --output, or --force to replace it",
        )
    if present and not (target.is_file() or target.is_dir() or target.is_symlink()):
        raise BadInput(f"--output {target} is neither a file nor a folder", "give another --output")
    wanted = Wanted(root, tag, path, recorded_outputs(root, tag.commit))
    wanted.check_exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for name in WAYS if strategy == "auto" else [strategy]:
        with TemporaryDirectory(prefix=".get.", suffix=".tmp", dir=target.parent) as folder:
            made, old = Path(folder) / "new", Path(folder) / "old"
            try:
                WAYS[name](wanted, made)
            except Refused as error:
                problems.append(error)
                continue
            if not (present and exchange(made, target)):
                if present and (made.is_dir() or target.is_dir()):
                    target.rename(old)
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
        for entry in (
            git(self.root, "ls-tree", "-r", "-z", self.tag.commit, "--", ".") or ""
        ).split("\0")[:-1]:
            about, _, name = entry.partition("\t")
            if _within(name, path):
                found[name] = (about.split()[0], about.split()[2])
        for name, md5 in self.outputs.items():
            inside = {name: md5}
            if md5.endswith(".dir") and (_within(name, path) or _within(path, name)):
                inside = {
                    f"{name}/{file}": each
                    for file, each in listing(main_root(self.root), md5).items()
                }
            found.update(
                {
                    file: ("md5", each)
                    for file, each in inside.items()
                    if _within(check_path(file), path)
                }
            )
        return found

    def check_exists(self) -> None:
        """Raise `Refused` with near matches when there is no such artifact, or it is a link."""
        try:
            found = self.files(self.path)
            if self.path in self.outputs or any(
                mode not in (LINK, MODULE) for mode, _ in found.values()
            ):
                return
            known = set(self.files("."))
        except Refused:  # a folder's listing is nowhere; the other strategies may know more
            return
        version = self.tag.version
        if found:
            remedy = f"git show {version}:./{self.path}"
            raise Refused(f"{self.path} is a link or a submodule at {version}, not a file", remedy)
        known |= {
            parent.as_posix()
            for name in known
            for parent in PurePosixPath(name).parents
            if parent.parts
        }
        near = sorted(
            name for name in known if PurePosixPath(name).name == PurePosixPath(self.path).name
        )
        near += difflib.get_close_matches(self.path, known, 5)
        hint = f"; near matches: {', '.join(dict.fromkeys(near))}" if near else ""
        lock = (
            ""
            if paths.PIPELINE_LOCK in known
            else f" (which has no {paths.PIPELINE_LOCK}, so no results)"
        )
        remedy = f"python scripts/experiment_explorer.py show --version {version}   # lists its artifacts"
        raise Refused(f"{self.path} is not in {version}{lock}{hint}", remedy)


def check_path(artifact: str) -> str:
    """Return a path relative to the project's root in its plain form.

    Raises:
        BadInput: it is absolute, leads out of the project, or could be an option.
    """
    path = PurePosixPath(artifact)
    bad = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or artifact.startswith("-")
        or ":" in artifact[:1]
    )
    if bad or any(ord(character) < 32 for character in artifact) or ".git" in path.parts:
        raise BadInput(
            f"{artifact!r} is not a path inside the project",
            "give it as in models/production/model.bin",
        )
    return path.as_posix()


def _within(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def _from_objects(wanted: Wanted, target: Path) -> None:
    found = wanted.files(wanted.path)
    if not found:
        raise Refused(
            f"{wanted.path} is not in {wanted.tag.version}, as far as its listings can be read",
            "dvc fetch",
        )
    for name, (kind, source) in found.items():
        file = _place(wanted, target, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == "md5":
            bring(main_root(wanted.root), source, file)
        elif kind == LINK:
            file.symlink_to(_blob(wanted, source).decode("utf-8", errors="surrogateescape"))
        elif kind != MODULE:
            file.write_bytes(_blob(wanted, source))
            file.chmod(int(kind[-3:], 8))


def _place(wanted: Wanted, made: Path, name: str) -> Path:
    return made if name == wanted.path else made / PurePosixPath(name).relative_to(wanted.path)


def _blob(wanted: Wanted, blob: str) -> bytes:
    return git_bytes(wanted.root, "cat-file", "blob", blob) or b""


def _from_dvc(wanted: Wanted, target: Path) -> None:
    from dvc.repo import Repo

    top, prefix = (
        common_folder(wanted.root) or wanted.root,
        git(wanted.root, "rev-parse", "--show-prefix") or "",
    )
    try:
        Repo.get(str(top.parent), prefix + wanted.path, out=str(target), rev=wanted.tag.commit)
    except Exception as error:  # DVC's libraries have exceptions of their own
        raise Refused(f"dvc get: {error}") from None
    _verify(wanted, target)


def _from_worktree(wanted: Wanted, target: Path) -> None:
    from dvc.repo import Repo

    folder = target.with_name("worktree")
    try:
        project = add_worktree(wanted.root, folder, "--detach", wanted.tag.commit)
        names = [
            name
            for name in wanted.outputs
            if _within(name, wanted.path) or _within(wanted.path, name)
        ]
        if names:
            with Repo(str(project)) as repo:
                bring = repo.pull if repo.config["core"].get("remote") else repo.checkout
                bring(targets=[str(project / name) for name in names])
        source = project / wanted.path
        shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy(
            source, target
        )
    except Exception as error:
        raise Refused(f"worktree: {error}") from None
    finally:
        remove_worktree(wanted.root, folder)
    _verify(wanted, target)


def _verify(wanted: Wanted, made: Path) -> None:
    """Raise `Refused` unless every file that DVC made is what DVC or Git recorded; `bring` has checked what it wrote."""
    for name, (kind, source) in wanted.files(wanted.path).items():
        file = _place(wanted, made, name)
        if kind == LINK:
            whole = file.is_symlink() and os.fsencode(file.readlink()) == _blob(wanted, source)
        else:
            is_plain = file.is_file() and not file.is_symlink()
            known = (
                source
                if kind == "md5"
                else hashlib.md5(_blob(wanted, source), usedforsecurity=False).hexdigest()
            )
            whole = kind == MODULE or (is_plain and file_md5(file) == known)
        if not whole:
            raise Refused(
                f"{name} of {wanted.tag.version} did not come back as it was recorded ({source})"
            )


WAYS = {"cache": _from_objects, "dvc-get": _from_dvc, "worktree": _from_worktree}
