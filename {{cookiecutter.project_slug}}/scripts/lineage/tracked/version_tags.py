"""Version tags `e{major}.{minor}.{patch}` of Git, here and on its remote; a tag closes its version.

A tag closes its version: the runs of the version are those that the tag holds, and it gets no more.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import Refused
from lineage.core.version_numbers import VERSION, parse
from lineage.tracked.git import git, must_git

FIELDS = (
    "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(creatordate:short)%00"
    "%(taggername)%(authorname)%00%(contents:subject)"
)
"""What `git for-each-ref` says of a tag; `*objectname` is the commit of an annotated one.

A tag has a tagger or, when it is not annotated, the author of its commit.
"""

SECONDS = 10
"""How long Git's remote may take to list its tags."""

START = "python scripts/version_tag.py --start"


@dataclass(frozen=True)
class Tag:
    """The tag of a version: its commit (40 digits), day (ISO 8601), maker and first line of text.

    `maker` and `day` are those of the tag, or of the commit that a tag without text names.
    """

    version: str
    commit: str
    day: str
    maker: str
    text: str

    def whose(self) -> str:
        """Say which tag this is: `e0.1.0 is tagged (by Ada, 2026-03-01, commit 1234567)`."""
        return f"{self.version} is tagged (by {self.maker}, {self.day}, commit {self.commit[:7]})"


def tags(root: Path, *options: str) -> dict[str, Tag]:
    """List the tags that are versions, by number.

    Args:
        root: the project's root.
        options: of `git for-each-ref`, as `--merged=HEAD`: only those in the history of HEAD.

    Raises:
        Refused: Git does not answer.
    """
    command = f"for-each-ref --sort=version:refname --format={FIELDS}"
    found = {}
    for line in must_git(root, command, *options, "refs/tags/e*").splitlines():
        name, own, peeled, *about = line.split("\0")
        if re.match(VERSION, name):
            found[name] = Tag(name, peeled or own, *about)
    return found


def newest_tag(root: Path) -> Tag | None:
    """Find the highest version in the history of HEAD; those of other branches do not count."""
    return next(reversed(tags(root, "--merged=HEAD").values()), None)


def find_tag(root: Path, version: str) -> Tag:
    """Find the tag of a version.

    Raises:
        BadInput: not a version.
        Refused: no such tag; names the nearest.
    """
    parse(version)
    known = tags(root)
    if version in known:
        return known[version]
    near = difflib.get_close_matches(version, known, 3, 0) or ["none"]
    is_shallow = git(root, "rev-parse --is-shallow-repository") == "true"
    raise Refused(
        f"there is no tag {version}; the nearest: {', '.join(near)}",
        "git fetch --unshallow --tags"
        if is_shallow
        else "git fetch --tags   # if a colleague made it",
    )


def check_open(root: Path, version: str) -> None:
    """Check that a version may get new runs.

    `dvc exp run --temp` works in a copy below `.dvc/tmp`, which has no tags: those of the project
    around it count.

    Raises:
        Refused: a tag has closed it.
    """
    around = [folder.parent for folder in root.parents if folder.name == ".dvc"]
    project = [*around, root][0]
    if git(project, "show-ref --verify", f"refs/tags/{version}"):
        raise Refused(
            f"{find_tag(project, version).whose()}, so it takes no new runs",
            f"{START}   # or --start patch, minor, major; then: dvc repro",
        )


def git_remote(root: Path) -> str | None:
    """Name the remote that Git pushes tags to: that of the branch, else `origin`, if it exists."""
    branch = git(root, "symbolic-ref --quiet --short HEAD")
    name = git(root, "config", f"branch.{branch}.remote") or "origin"
    return name if git(root, "remote get-url", name) else None


def remote_tags(root: Path, remote: str) -> dict[str, str]:
    """Ask Git's remote for its tags of versions, and warn when it does not answer.

    Returns:
        the object of each tag, by name.
    """
    listed = git(root, "ls-remote --refs", remote, "refs/tags/e*", seconds=SECONDS)
    if listed is None:
        warn(f"Git's remote {remote} does not answer; only the tags that are here are known")
    lines = [line.split("\trefs/tags/") for line in (listed or "").splitlines()]
    return {name: own for own, name in lines}


def taken_versions(root: Path) -> Collection[str]:
    """Collect the versions that are tagged, here or on Git's remote."""
    remote = git_remote(root)
    return {*tags(root), *(remote_tags(root, remote) if remote else ())}
