"""Make a Git tag whose dvc.lock names the present bytes of an output (`--backup-tag`)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.core.errors import BadInput, Refused
from lineage.core.params import parse_yaml
from lineage.core.paths import PIPELINE_LOCK
from lineage.tracked.cache import store
from lineage.tracked.git import git, must_git
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5


def where_recorded(root: Path, name: str) -> str:
    """Say from where the present bytes of an output can be had: a tag, the last commit, or nowhere.

    Args:
        root: the project's root.
        name: the output, relative to it.
    """
    md5 = path_md5(root / name)
    tags = git(root, "tag --sort=-creatordate") or ""
    for revision in [*tags.split(), "HEAD"]:
        if recorded_md5(root, name, revision) == md5:
            return f"that of {revision}: dvc get . {name} --rev {revision}"
    return "in no commit; --backup-tag NAME would pin it"


def pin(
    root: Path,
    name: str,
    tag: str,
) -> None:
    """Put the bytes of an output into the cache, and make an annotated tag that names them.

    Args:
        root: the project's root.
        name: the output, relative to it.
        tag: a new tag. `dvc get . NAME --rev TAG` brings the bytes back.

    Raises:
        BadInput: Git takes no such tag (it exists, or its name is wrong), or there is no output.
        Refused: outside a Git repository with a commit.
    """
    output = root / name
    if not output.exists():
        problem = f"{name} does not exist, so there is nothing to back up"
        raise BadInput(problem, "leave --backup-tag out")
    if git(root, "rev-parse --verify --quiet HEAD") is None:
        remedy = 'git add --all && git commit -m "…"'
        raise Refused("a tag needs a Git repository with a commit", remedy)
    ref = f"refs/tags/{tag}"
    wrong = git(root, "check-ref-format", ref) is None
    if wrong or git(root, "rev-parse --quiet --verify", ref):
        problem = f"--backup-tag {tag!r}: there is such a tag, or Git takes no such name"
        raise BadInput(problem, "choose another name")
    md5 = store(root, output)
    commit = "HEAD"
    if recorded_md5(root, name, commit) != md5:
        commit = _commit_beside(root, name, md5, f"Back up {name} as {tag}")
    message = f"{name} before it was rebased"
    must_git(root, "tag --annotate", f"--message={message}", "--", tag, commit)


def _commit_beside(
    root: Path,
    name: str,
    md5: str,
    message: str,
) -> str:
    """Commit a pointer to the bytes on top of HEAD, in an index of its own; return the commit."""
    from dvc.utils.serialize import dumps_yaml

    pointer, content = _pointer_to(root, name, md5)
    with TemporaryDirectory() as folder:
        file = Path(folder, "pointer")
        file.write_text(dumps_yaml(content), encoding="utf-8")
        blob = must_git(root, "hash-object -w --no-filters", str(file))
        prefix = must_git(root, "rev-parse --show-prefix")
        entry = f"100644,{blob},{prefix}{pointer}"
        index = Path(folder, "index")
        must_git(root, "read-tree HEAD", GIT_INDEX_FILE=index)
        must_git(root, "update-index --add --cacheinfo", entry, GIT_INDEX_FILE=index)
        tree = must_git(root, "write-tree", GIT_INDEX_FILE=index)
    return must_git(root, "commit-tree", tree, "-p", "HEAD", "-m", message)


def _pointer_to(
    root: Path,
    name: str,
    md5: str,
) -> tuple[str, Any]:
    """Put a hash into `dvc.lock`, or into a new `.dvc` file where that does not know the output.

    Returns:
        the path of that file, and what it has to hold.
    """
    entry = {"hash": "md5", "md5": md5}
    lock = root / PIPELINE_LOCK
    content = parse_yaml(lock.read_bytes()) if lock.is_file() else {}
    for stage in content.get("stages", {}).values():
        for out in stage.get("outs", []):
            if out["path"] == name:
                out.clear()
                out.update(path=name, **entry)
                return PIPELINE_LOCK, content
    entry["path"] = Path(name).name
    return f"{name}.dvc", {"outs": [entry]}
