"""The verb behind `experiment_explorer.py get`: an artifact of a version, brought back byte by byte."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal

from lineage import layout
from lineage.errors import BadInput, Refused
from lineage.exploring import add_worktree, remove_worktree
from lineage.objects import copy_out, listing, obtain
from lineage.records import path_md5, recorded_outputs
from lineage.repository import git, git_bytes, main_root
from lineage.versions import Tag, find_tag

Strategy = Literal["auto", "cache", "dvc-get", "worktree"]
Sources = dict[str, tuple[str, str]]
"""Each file's path, with `md5` and its hash, or with its mode in Git and its blob."""

LINK = "120000"


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
    path = check_path(artifact)
    tag = find_tag(root, version)
    target = root / "build" / version / path if output is None else output
    target = target / PurePosixPath(path).name if output is not None and target.is_dir() else target
    if root.is_relative_to(target.resolve()) or ".git" in target.resolve().parts:
        raise BadInput(f"--output {target} would replace the project", "give a path that does not exist yet")
    if not force and (target.exists() or target.is_symlink()):
        raise Refused(f"{target} exists, and nothing is overwritten", "give another --output, or --force to replace it")
    check_exists(root, tag, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for name in WAYS if strategy == "auto" else [strategy]:
        with TemporaryDirectory(prefix=".get.", suffix=".tmp", dir=target.parent) as folder:
            try:
                made = Path(folder) / "new"
                WAYS[name](root, tag, path, made)
                _verify(root, tag, path, made)
            except Refused as error:
                problems.append(error)
                continue
            if target.is_dir() and not target.is_symlink():
                target.rename(Path(folder) / "old")
            made.replace(target)
            return target
    raise Refused("\n".join(dict.fromkeys(error.problem for error in problems)), problems[0].remedy)


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


def contents(root: Path, tag: Tag, path: str) -> Sources:
    """Find every file of an artifact: those that Git tracks, and those that DVC records, also inside tracked folders."""
    found: Sources = {}
    for entry in (git(root, "ls-tree", "-r", "-z", tag.commit, "--", ".") or "").split("\0")[:-1]:
        (mode, _, blob), name = entry.partition("\t")[0].split(), entry.partition("\t")[2]
        if _within(name, path):
            found[name] = (mode, blob)
    for name, md5 in recorded_outputs(root, tag.commit).items():
        if md5.endswith(".dir") and (_within(name, path) or _within(path, name)):
            inside = {f"{name}/{file}": ("md5", each) for file, each in listing(main_root(root), md5).items()}
            found.update({file: source for file, source in inside.items() if _within(check_path(file), path)})
        elif _within(name, path):
            found[name] = ("md5", md5)
    return found


def check_exists(root: Path, tag: Tag, path: str) -> None:
    """Raise `Refused` with near matches when a version has no such artifact, or it is a link."""
    try:
        found = contents(root, tag, path)
        known = set(found) or set(contents(root, tag, "."))
    except Refused:  # a folder's listing is nowhere; the other strategies may know more
        return
    if path in recorded_outputs(root, tag.commit) or any(mode not in (LINK, "160000") for mode, _ in found.values()):
        return
    if found:
        raise Refused(
            f"{path} is a link or a submodule at {tag.version}, not a file", f"git show {tag.version}:./{path}"
        )
    known |= {parent.as_posix() for name in known for parent in PurePosixPath(name).parents if parent.parts}
    named = {name: name for name in known} | {PurePosixPath(name).name: name for name in known}
    near = [named[name] for name in difflib.get_close_matches(path, named, 5)]
    near += [name for name in sorted(known) if PurePosixPath(path).name in name]
    hint = f"; near matches: {', '.join(list(dict.fromkeys(near))[:5])}" if near else ""
    lock = "" if layout.PIPELINE_LOCK in known else f" (which has no {layout.PIPELINE_LOCK}, so no results)"
    remedy = f"python scripts/experiment_explorer.py show --version {tag.version}   # lists its artifacts"
    raise Refused(f"{path} is not in {tag.version}{lock}{hint}", remedy)


def _within(path: str, folder: str) -> bool:
    return path == folder or folder == "." or path.startswith(f"{folder}/")


def _from_objects(root: Path, tag: Tag, path: str, target: Path) -> None:
    found = contents(root, tag, path)
    if path not in found:
        target.mkdir()
    for name, (kind, source) in found.items():
        file = target / PurePosixPath(name).relative_to(path) if name != path else target
        if kind == "md5":
            copy_out(obtain(main_root(root), source), file)
        elif kind.startswith("100"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(git_bytes(root, "cat-file", "blob", source) or b"")
            file.chmod(int(kind[-3:], 8))


def _from_dvc(root: Path, tag: Tag, path: str, target: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        Repo.get(str(main_root(root)), path, out=str(target), rev=tag.commit)
    except (DvcException, OSError) as error:
        raise Refused(f"dvc get: {error}", f"dvc get . {path} --rev {tag.version} --verbose") from None


def _from_worktree(root: Path, tag: Tag, path: str, target: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    folder = target.with_name("worktree")
    outputs = recorded_outputs(root, tag.commit)
    wanted = [name for name in outputs if _within(name, path) or _within(path, name)]
    try:
        project = add_worktree(root, tag.commit, folder)
        if wanted:
            with Repo(str(project)) as repo:
                (repo.pull if repo.config["core"].get("remote") else repo.checkout)(
                    targets=[str(project / name) for name in wanted]
                )
        shutil.copytree(project / path, target) if (project / path).is_dir() else shutil.copy(project / path, target)
    except (DvcException, OSError) as error:
        raise Refused(f"worktree: {error}", f"git worktree add ../look {tag.version}") from None
    finally:
        remove_worktree(root, folder)


def _verify(root: Path, tag: Tag, path: str, made: Path) -> None:
    """Raise `Refused` unless what was made has the recorded hash; objects were checked as they were copied."""
    md5 = recorded_outputs(root, tag.commit).get(path)
    if md5 is not None and path_md5(made) != md5:
        raise Refused(f"{path} of {tag.version} did not come back as {md5}", "dvc fetch --all-tags")


WAYS: dict[str, Callable[[Path, Tag, str, Path], None]] = {
    "cache": _from_objects,
    "dvc-get": _from_dvc,
    "worktree": _from_worktree,
}
