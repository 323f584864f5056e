"""The end of an experiment: a checklist of what would be lost, and the removal of its worktree."""

import re
import shlex
import sys
from pathlib import Path

from lineage.core import paths
from lineage.core.check_result import Step, done, failed
from lineage.core.console import say
from lineage.core.errors import LineageError, Refused, explain_missing
from lineage.extras.retrieve.worktree import unsaved
from lineage.extras.worktrees.experiment_work import ExperimentWork, compare_with_main
from lineage.extras.worktrees.start import Experiment, erase
from lineage.tracked.cache import cached_object
from lineage.tracked.dvc import changed_stages
from lineage.tracked.git import git, must_git
from lineage.tracked.guarded_output import locked
from lineage.tracked.remote import missing_in_remote, open_remote, with_files

VERSION_TAG = re.compile(r"^tag (e\d+\.\d+\.\d+) (.+)$", re.MULTILINE)
"""An annotated tag of a version, and its description, as `_tag` asks Git for them."""


def finish(
    experiment: Experiment,
    *,
    collect_first: bool,
    decline_data: bool,
    force: bool,
) -> None:
    """Show the checklist and, when nothing would be lost, remove worktree and branch.

    Args:
        experiment: from `find_experiment`.
        collect_first: bring home what it made before looking.
        decline_data: its new batches are not wanted in main.
        force: remove it although lines fail, once its name was typed.

    Raises:
        BadInput: no such experiment.
        Refused: something would be lost; `collect` could not be done; the name was not typed.

    """
    branch = experiment.branch
    with locked(experiment.main, experiment.folder.name):
        work = compare_with_main(experiment)
        steps = own_state(experiment)
        if collect_first and not any(step.failed for step in steps):
            _collect(experiment, work, with_data=not decline_data)
            work = compare_with_main(experiment)
        steps += checklist(experiment, work, decline_data=decline_data)
        say("\n".join(step.line() for step in steps), is_result=True)
        losses = ", ".join(step.name for step in steps if step.failed)
        if losses and not force:
            raise Refused(
                f"{branch} is not home yet: {losses}",
                "do what each ✗ says; --collect does remote, runs, model, data",
            )
        if losses:
            _confirm(experiment.name, losses)
        erase(experiment)
        _delete_branch(experiment)
    say(f"removed {experiment.folder} and the branch {branch}")


def _delete_branch(experiment: Experiment) -> None:
    """Delete the branch; Git does not delete one that another worktree is on."""
    remedy = f"git branch -D {experiment.branch}"
    find = f"for-each-ref --format=%(worktreepath) refs/heads/{experiment.branch}"
    holder = git(experiment.main, find)
    if holder:
        remedy = f"git -C {shlex.quote(holder)} switch --detach && {remedy}"
    must_git(experiment.main, "branch -D", experiment.branch, remedy=remedy)


def _collect(experiment: Experiment, work: ExperimentWork, *, with_data: bool) -> None:
    """Collect what the experiment made: that is another extra."""
    with explain_missing("collect", "finish_worktree.sh --collect"):
        from lineage.extras.collect.collect import collect
    collect(experiment, work, with_data=with_data)


def own_state(experiment: Experiment) -> list[Step]:
    """Check the experiment's working tree: everything is committed, and DVC knows every file.

    Returns:
        the lines `tree` and `dvc` of the checklist.

    """
    if not experiment.folder.exists():
        return [done(name, "removed already") for name in ("tree", "dvc")]
    return [_tree(experiment), _dvc(experiment)]


def _tree(experiment: Experiment) -> Step:
    folder = experiment.folder
    branch = git(folder, "symbolic-ref --short --quiet HEAD")
    if branch != experiment.branch:
        return failed(
            "tree",
            f"{folder.name} is on {branch or 'no branch'}, not on {experiment.branch}",
            experiment.go(f"git switch {experiment.branch}"),
        )
    changed, unknown = unsaved(folder)
    if changed:
        return failed(
            "tree",
            f"{len(changed)} not committed: {', '.join(changed[:5])}",
            experiment.go('git add --all && git commit -m "…"'),
        )
    if unknown:
        return failed(
            "tree",
            f"{len(unknown)} ignored by Git and unknown to DVC: {', '.join(unknown[:5])}",
            experiment.go(f"mv {shlex.quote(unknown[0])} ELSEWHERE   # or delete it"),
        )
    return done("tree", "everything is committed")


def _dvc(experiment: Experiment) -> Step:
    try:
        changed = changed_stages(experiment.folder)
    except Refused as error:
        changed = [error.problem]
    if changed:
        remedy = experiment.go('dvc repro && git commit --all -m "…"')
        return failed("dvc", f"not recorded: {', '.join(changed)}", remedy)
    return done("dvc", "dvc status is clean")


def checklist(
    experiment: Experiment,
    work: ExperimentWork,
    *,
    decline_data: bool,
) -> list[Step]:
    """Check that what the experiment committed is tagged, in the remote, and in main.

    Args:
        experiment: the experiment.
        work: from `compare_with_main`.
        decline_data: its new batches are not wanted in main.

    Returns:
        the lines `tag`, `remote`, `runs`, `model` and `data` of the checklist.

    """
    collecting = f"./scripts/finish_worktree.sh {experiment.name} --collect"
    runs = done("runs", f"{len(work.runs)} of its own, all in main's database")
    if work.missing_runs:
        counts = f"{len(work.missing_runs)} of {len(work.runs)}"
        runs = failed("runs", f"{counts} runs are not in main's committed database", collecting)
    elif work.has_corrections:
        runs = failed("runs", "rows of runs that main has were corrected here", collecting)
    model = done("model", "its best is in main, or it has none")
    if work.best:
        text = f"the best, of run {work.best['track_id']}, is neither in production nor a candidate"
        model = failed("model", text, collecting)
    batches = ", ".join(work.missing_batches)
    data = done("data", f"declined: {batches}" if batches else "no batch that main lacks")
    if batches and not decline_data:
        text = f"new batches that main lacks: {batches}"
        data = failed("data", text, f"{collecting}   # or: --decline-data")
    elif work.merged_by_hand and not decline_data:
        text = f"{paths.TRAIN_DATA} has {', '.join(work.merged_by_hand)}, which main has not merged"
        data = failed("data", text, f"git merge {experiment.branch}   # or: --decline-data")
    return [_tag(experiment, work.head), _remote(experiment, work), runs, model, data]


def _tag(experiment: Experiment, head: str) -> Step:
    main = experiment.main
    own = git(main, f"rev-list --count {head} --not HEAD")
    if own == "0":
        return done("tag", "not needed: main has all its commits")
    form = "--format=%(objecttype) %(refname:lstrip=2) %(contents:subject)"
    tags = git(main, f"for-each-ref --points-at={head} refs/tags", form) or ""
    found = VERSION_TAG.search(tags)
    if found:
        return done("tag", f"{found[1]}: {found[2]}")
    wrong = f" ({tags.split()[1]} is no version with a description)" if tags else ""
    return failed(
        "tag",
        f"{own} commits, and no version tag with a description on the last one{wrong}",
        experiment.go("python scripts/version_tag.py --suggest   # says how; then add --push"),
    )


def _remote(experiment: Experiment, work: ExperimentWork) -> Step:
    main = experiment.main
    try:
        wanted = with_files(main, work.theirs.values())
        remote = open_remote(main)
        if remote is None:
            return _cache(main, wanted)
        missing = missing_in_remote(main, remote, wanted)
    except LineageError as error:
        return failed("remote", error.problem, error.remedy)
    if missing:
        return failed(
            "remote", f"lacks {len(missing)} of {len(wanted)} objects", experiment.go("dvc push")
        )
    return done("remote", f"has all {len(wanted)} objects")


def _cache(main: Path, wanted: set[str]) -> Step:
    """Without a remote, the shared cache has to have every object."""
    absent = [md5 for md5 in wanted if cached_object(main, md5) is None]
    if absent:
        text = f"none; the cache lacks {len(absent)} objects"
        return failed("remote", text, "dvc remote add --default storage URL")
    text = "objects are in the shared cache, pinned by the tag"
    return done("remote", f"none configured: {len(wanted)} {text}")


def _confirm(name: str, losses: str) -> None:
    """Raise `Refused` unless the user types the experiment's name."""
    say(f"would be lost or left behind: {losses} (each ✗ above)", is_result=True)
    print(f"type {name} to remove it all the same: ", end="", flush=True)
    if sys.stdin.readline().strip() != name:
        raise Refused("not confirmed; nothing was removed")
