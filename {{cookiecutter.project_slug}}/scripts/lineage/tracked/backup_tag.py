"""Pin the bytes of an accumulated output by a Git tag, without touching HEAD, index or working tree."""

import os
from pathlib import Path
from subprocess import PIPE, check_output
from tempfile import TemporaryDirectory

import yaml

from lineage.core.errors import BadInput, Refused
from lineage.core.paths import PIPELINE_LOCK
from lineage.tracked.cache import store_object
from lineage.tracked.git import git
from lineage.tracked.hashes import file_md5
from lineage.tracked.recorded import recorded_md5


def where_recorded(root: Path, name: str) -> str:
    """Say from where the present bytes of an output can be had: a tag, the last commit, or nowhere."""
    md5 = file_md5(root / name) if (root / name).is_file() else None
    tags = (git(root, "tag", "--sort=-creatordate") or "").split()
    for revision in [*tags, "HEAD"] if md5 else []:
        if recorded_md5(root, name, revision) == md5:
            return f"that of {revision}: dvc get . {name} --rev {revision}"
    return "in no commit; --backup-tag NAME would pin it"


def pin(root: Path, name: str, tag: str) -> None:
    """Put the bytes of an output into the cache, and make an annotated tag whose `dvc.lock` names them.

    Args:
        root: the project's root.
        name: the output, relative to it.
        tag: a new tag.
    Raises:
        BadInput: Git takes no such tag (it exists, or its name is wrong), or there is no output.
        Refused: outside a Git repository with a commit.
    """
    if not (root / name).is_file():
        raise BadInput(
            f"{name} does not exist, so there is nothing to back up", "leave --backup-tag out"
        )
    if git(root, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise Refused("a tag needs a Git repository with a commit", "git add --all && git commit")
    ref = f"refs/tags/{tag}"
    if git(root, "check-ref-format", ref) is None or git(root, "rev-parse", "-q", "--verify", ref):
        raise BadInput(
            f"--backup-tag {tag!r}: there is such a tag, or Git takes no such name",
            "choose another name",
        )
    md5 = file_md5(root / name)
    store_object(root, root / name, md5)
    commit = (
        "HEAD" if recorded_md5(root, name, "HEAD") == md5 else _commit_beside(root, name, md5, tag)
    )
    if (
        git(
            root,
            "tag",
            "--annotate",
            "--message",
            f"{name} before it was rebased",
            "--",
            tag,
            commit,
        )
        is None
    ):
        raise Refused(f"Git could not make the tag {tag}", f"git tag -a {tag}   # says why")


def _commit_beside(root: Path, name: str, md5: str, tag: str) -> str:
    """Commit a pointer to the bytes on top of HEAD, in an index of its own; return the commit."""
    output = {"path": name, "hash": "md5", "md5": md5, "size": (root / name).stat().st_size}
    lock = root / PIPELINE_LOCK
    content = yaml.safe_load(lock.read_bytes()) if lock.is_file() else {}
    outputs = [
        out for stage in (content.get("stages") or {}).values() for out in stage.get("outs") or []
    ]
    pointer, named = PIPELINE_LOCK, [out for out in outputs if out["path"] == name]
    for out in named:
        out.update(output)
    if not named:
        pointer, content = f"{name}.dvc", {"outs": [{**output, "path": Path(name).name}]}
    with TemporaryDirectory() as folder:
        index = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index"}

        def plumbing(*arguments: str, stdin: str = "") -> str:
            return check_output(
                ["git", *arguments], cwd=root, env=index, input=stdin, stderr=PIPE, text=True
            ).strip()

        plumbing("read-tree", "HEAD")
        blob = plumbing(
            "hash-object", "-w", "--stdin", stdin=yaml.safe_dump(content, sort_keys=False)
        )
        prefix = plumbing("rev-parse", "--show-prefix")
        plumbing("update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{pointer}")
        return plumbing(
            "commit-tree", plumbing("write-tree"), "-p", "HEAD", "-m", f"Back up {name} as {tag}"
        )
