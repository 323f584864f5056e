"""Push a version: its objects to DVC's remote, then its commit and tag to Git's."""

import shlex
from pathlib import Path

from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.tracked.git import git, must_git
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import open_remote, send, with_files
from lineage.tracked.version_tags import Tag, find_tag, git_remote, remote_tags


def push_tag(root: Path, tag: Tag) -> None:
    """Push the objects of a tag, see to it that they are there, then push commit and tag.

    Raises:
        Refused: no remote of DVC or Git, somebody else's tag has this name, an object is nowhere,
            or a remote refuses. What was sent stays.
    """
    again = f"python scripts/version_tag.py --version {tag.version} --push"
    remote = open_remote(root)
    if remote is None:
        raise Refused("no DVC remote is configured", "dvc remote add --default storage URL")
    upstream = git_remote(root)
    if upstream:
        _give_way(root, tag, upstream)
    hashes = with_files(root, recorded_outputs(root, tag.commit, pushed=True).values())
    sent = send(root, remote, hashes)
    say(f"{len(hashes)} objects of {tag.version} are in the remote, {len(sent)} of them new")
    if upstream is None:
        raise Refused(
            f"no Git remote to push to: commits and tag {tag.version} are only in this folder",
            f"git remote add origin URL && {again}\n"
            f"  → git bundle create ../{root.name}.bundle --all   # or: a copy in one file",
        )
    refs = [f"refs/tags/{tag.version}"]
    branch = git(root, "symbolic-ref --quiet --short HEAD")
    if branch and git(root, "rev-parse HEAD") == tag.commit:
        refs.append(f"HEAD:refs/heads/{branch}")  # whatever it tracks: a tag moves no other branch
    remedy = f"git pull --no-rebase {upstream} {branch or 'HEAD'}   # then: {again}"
    must_git(root, f"push --atomic {upstream}", *refs, remedy=remedy)
    say(f"pushed {', '.join(refs)} to {upstream}")


def _give_way(root: Path, tag: Tag, upstream: str) -> None:
    """Put the tag of the same name that Git's remote has in the place of ours.

    Raises:
        Refused: it has one; says whose, and how our runs get another number.
    """
    ref = f"refs/tags/{tag.version}"
    theirs = remote_tags(root, upstream).get(tag.version)
    if theirs in (None, must_git(root, f"rev-parse {ref}")):
        return
    must_git(root, f"fetch {upstream} +{ref}:{ref}")
    words = shlex.quote(tag.text.rpartition(" | ")[2])
    raise Refused(
        f"on {upstream}, {find_tag(root, tag.version).whose()};"
        f" yours (commit {tag.commit[:7]}) is taken back, and theirs is here now",
        f"python scripts/version_tag.py --renumber --description {words}",
    )
