"""Push a version: its objects to DVC's remote, then its commit and tag to Git's."""

from pathlib import Path

from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.tracked.git import git, main_root, must_git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import open_remote, send, with_files
from lineage.versions.tags import Tag


def push(
    root: Path,
    tag: Tag,
) -> None:
    """Push the objects of a tag, see to it that they are there, then push commit and tag.

    Raises:
        Refused: no remote of DVC or Git, an object is nowhere, or a remote refuses. What was sent
            stays.
    """
    storage = main_root(root)
    again = f"python scripts/version_tag.py --version {tag.version} --push"
    remote = open_remote(storage)
    if remote is None:
        raise Refused("no DVC remote is configured", "dvc remote add --default storage URL")
    branch = git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    upstream = git(root, "config", f"branch.{branch}.remote") or "origin"
    remotes = git(root, "remote") or ""
    if upstream not in remotes.splitlines():
        raise Refused("no Git remote to push to", f"git remote add origin URL\n  → {again}")
    outputs = recorded_outputs(root, tag.commit, pushed=True)
    hashes = with_files(storage, outputs.values())
    sent = send(storage, remote, hashes)
    say(f"{len(hashes)} objects of {tag.version} are in the remote, {len(sent)} of them new")
    refs = [f"refs/tags/{tag.version}"]
    if branch and git(root, "rev-parse", "HEAD") == tag.commit:
        refs.append(f"HEAD:refs/heads/{branch}")  # whatever it tracks: a tag moves no other branch
    remedy = f"git pull   # then: {again}"
    must_git(root, "push", "--atomic", upstream, *refs, remedy=remedy)
    say(f"pushed {', '.join(refs)} to {upstream}")
