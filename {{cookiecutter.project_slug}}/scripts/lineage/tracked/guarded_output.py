"""The one door for writing an accumulated output: locked, checked against its record, whole.

Nothing is overwritten unless its exact bytes can be brought back, or all its rows live on in what
replaces it.

    with guarded_output(root, "data/train.parquet") as output:
        ...                                          # write output.draft, from output.base
        output.publish(replaces=plan.replaced > 0)
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lineage.core.errors import Refused
from lineage.core.paths import PIPELINE_LOCK
from lineage.tables.kept_rows import holds_all_rows
from lineage.tables.parts import is_parts
from lineage.tables.sources import Sources, read_sources
from lineage.tracked.cache import cached_object, recorded_manifest, store
from lineage.tracked.git import git
from lineage.tracked.hashes import manifest_of, path_md5
from lineage.tracked.recorded import recorded_md5, recorded_outputs
from lineage.tracked.whole_file import Draft, draft_of, recover

LOCK_SECONDS = 600.0
"""How long to wait for another process that writes the same output."""

MayDiffer = Callable[[Path, dict[str, str]], bool]
"""Tells whether a folder may lack recorded files (relative path to md5)."""


@dataclass(frozen=True)
class GuardedOutput:
    """An accumulated output whose lock is held and whose base was checked.

    Attributes:
        root: the project's root.
        name: the output, relative to it.
        base: what is accumulated so far; None: nothing yet.
        new: a draft of the output.
    """

    root: Path
    name: str
    base: Path | None
    new: Draft

    @property
    def draft(self) -> Path:
        """Where to write the new file."""
        return self.new.path

    @property
    def is_recorded(self) -> bool:
        """Whether the base has the bytes that `dvc.lock` records."""
        return self.base is not None and path_md5(self.base) == recorded_md5(self.root, self.name)

    @property
    def sources(self) -> Sources:
        """What was merged into the base, in order of arrival."""
        return read_sources(self.root / self.name)

    def publish(self, *, replaces: bool) -> bool:
        """Let the draft take the output's place, whole or not at all.

        Args:
            replaces: rows of the base go; its bytes have to be recoverable first.

        Returns:
            whether the output changed.

        Raises:
            Refused: the base's bytes are recorded nowhere, or another program wrote to it.
        """
        if replaces and self.base:
            keep_recoverable(self.root, self.name)
        return self.new.publish()


@contextmanager
def guarded_output(root: Path, path: str) -> Iterator[GuardedOutput]:
    """Open an accumulated output for writing: take its lock, check its base.

    Args:
        root: the project's root.
        path: the output, relative to it.

    Raises:
        Refused: as `locked` and `check_base`.
    """
    with locked(root, path):
        base = check_base(root, path)
        with draft_of(root / path) as draft:
            yield GuardedOutput(root, path, base, draft)


@contextmanager
def locked(root: Path, path: str) -> Iterator[None]:
    """Hold the lock of one output; wait for another process first.

    Args:
        root: the project's root.
        path: the output, relative to it.

    Raises:
        Refused: still locked after `LOCK_SECONDS`; names the process that holds it.
    """
    from filelock import FileLock, Timeout

    folder = root / ".dvc/tmp/lineage" if (root / ".dvc").is_dir() else root
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f".{path.replace('/', '-')}.lock"
    holder = file.with_suffix(".holder")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting = f"waiting for {_read(holder)}, which is writing {path} …"
        print(waiting, file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise Refused(
                f"{path} is still being written by {_read(holder)} after {LOCK_SECONDS:.0f} s",
                "wait for it, or end that process; then try again",
            ) from None
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        recover(root / path)
        yield
    finally:
        holder.unlink(missing_ok=True)
        file.unlink(missing_ok=True)  # who waits for it sees that it is gone, and takes a new one
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def check_base(root: Path, path: str, may_differ: MayDiffer | None = None) -> Path | None:
    """Find the accumulated output that new rows or files may be added to.

    Args:
        root: the project's root.
        path: the output (a file or a folder), relative to it.
        may_differ: for a folder: may it lack the recorded files that it lacks? None: it may not.

    Returns:
        the output's path, or None when there is none yet and none is recorded.

    Raises:
        Refused: the output is missing although `dvc.lock` names it (a clone without `dvc pull`), is
            another recorded version (a checkout without `dvc checkout`), or lacks recorded rows or
            files (edited by hand).
    """
    base = root / path
    recorded = recorded_md5(root, path)
    if recorded is None:
        return base if base.exists() else None
    if not base.exists():
        command = "dvc checkout" if cached_object(root, recorded) else "dvc pull"
        reason = "is missing although dvc.lock records it; going on would start its history over"
        raise Refused(f"{path} {reason}", f"{command} {path}")
    md5 = path_md5(base)
    if md5 == recorded:
        return base
    if cached_object(root, md5):
        reason = "is not the version that dvc.lock records but another one"
        raise Refused(f"{path} {reason}, left behind by a git checkout", _checkout(root, md5))
    if not _holds_recorded(root, path, recorded, may_differ):
        reason = "lacks rows or files that dvc.lock records"
        raise Refused(
            f"{path} {reason}; it was edited, or belongs to another commit",
            f"cp -r {path} {path}.mine   # if you want to keep it\n  → dvc checkout --force {path}",
        )
    return base


def _checkout(root: Path, md5: str) -> str:
    """Name the commands that bring all outputs of the checked out commit back.

    Before a stage runs, `dvc repro` writes into `.dvc` files what another commit left in their
    folders. Git's index still has them as they belong. A folder that no commit knows has new files,
    too: they are copied away first. It stays if no commit knows the output either, as when DVC was
    killed before it wrote `dvc.lock`.

    Args:
        root: the project's root.
        md5: of the output that another commit left behind.
    """
    changed = git(root, "diff --relative --name-only -- *.dvc") or ""
    commands = []
    stale = []
    for path, present in recorded_outputs(root).items():
        name = f"{path}.dvc"
        if name not in changed.splitlines():
            continue
        if not _in_a_commit(root, present, name):
            if not _in_a_commit(root, md5, PIPELINE_LOCK):
                continue
            commands.append(f"cp -r {path} {path}.mine   # your new files\n  → ")
        stale.append(name)
    if stale:
        commands.append(f"git checkout -- {' '.join(stale)} && ")
    wanted = recorded_outputs(root, "HEAD").values()
    is_cached = all(cached_object(root, md5) for md5 in wanted)
    return "".join([*commands, "dvc checkout" if is_cached else "dvc pull"])


def _in_a_commit(root: Path, md5: str, name: str) -> bool:
    return bool(git(root, f"log --all --max-count=1 --format=%h -S{md5} --", name))


def _holds_recorded(root: Path, path: str, recorded: str, may_differ: MayDiffer | None) -> bool:
    """Tell whether a changed base holds all that is recorded, as after a kill before `dvc.lock`."""
    base = root / path
    then = recorded_manifest(root, recorded)
    now = manifest_of(base)
    lost = then.items() - now.items()
    is_data = base.is_file() or is_parts(base)
    objects = [cached_object(root, md5) for _, md5 in lost]
    if cached_object(root, recorded) is None or (is_data and None in objects):
        reason = "differs from what dvc.lock records, and the recorded version is not in the cache"
        raise Refused(f"{path} {reason} to compare", f"dvc fetch {path}")
    if not lost:
        return True
    if is_data:
        come = [base / name for name, _ in now.items() - then.items()]
        return holds_all_rows(come, list(filter(None, objects)))
    return may_differ is not None and may_differ(base, then)


def keep_recoverable(root: Path, path: str) -> None:
    """See to it that the exact bytes of an output can be had again before it is replaced.

    What `dvc.lock` names but the local cache lacks (it may only be in the remote) is put into the
    cache.

    Args:
        root: the project's root.
        path: the output (a file or a folder), relative to it.

    Raises:
        Refused: the bytes are recorded nowhere.
    """
    target = root / path
    if all(cached_object(root, md5) for md5 in manifest_of(target).values()):
        return
    recorded = recorded_md5(root, path)
    if recorded is None:
        raise Refused(
            f"{path} would be replaced, and its bytes are recorded nowhere",
            f"mv {path} {path}.old   # or: dvc add {path}; by hand --backup-tag NAME pins it",
        )
    if recorded != path_md5(target):
        raise Refused(
            f"{path} would lose rows or files, and its present bytes are recorded nowhere",
            "dvc commit --force   # records it; by hand --backup-tag NAME pins it\n"
            f"  → dvc checkout --force {path}   # or goes back",
        )
    store(root, target)
