"""Finish an experiment: a checklist of what would be lost, and the removal of its worktree and branch."""

import json
import re

from lineage.branches.collect import Work, collect, look_at
from lineage.branches.start import Experiment, erase
from lineage.branches.worktree import unsaved
from lineage.core.check_result import Step, done, failed
from lineage.core.console import Say
from lineage.core.errors import LineageError, Refused
from lineage.tracked.cache import cached_object
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git
from lineage.tracked.guarded_output import locked
from lineage.tracked.remote import missing_in_remote, open_remote, with_files

VERSION_TAG = re.compile(r"tag (e\d+\.\d+\.\d+) (.+)")


def finish(
    experiment: Experiment, say: Say, *, collect_first: bool, decline_data: bool, force: bool
) -> None:
    """Show the checklist and, when nothing would be lost, remove worktree and branch.

    Args:
        experiment: from `find_experiment`.
        say: called with the checklist, and with what was done.
        collect_first: bring home what it made before looking.
        decline_data: its new batches are not wanted in main.
        force: remove it although lines fail, once its name was typed.
    Raises:
        BadInput: no such experiment.
        Refused: something would be lost; `collect` could not be done; the name was not typed.
    """
    with locked(experiment.main, experiment.folder.name):
        work = look_at(experiment)
        steps = own_state(experiment)
        if collect_first and not any(step.failed for step in steps):
            collect(experiment, work, with_data=not decline_data, say=say)
            work = look_at(experiment)
        steps += checklist(experiment, work, decline_data=decline_data)
        say("\n".join(step.line() for step in steps))
        if losses := ", ".join(step.name for step in steps if step.failed):
            _confirm(experiment, losses, say, force=force)
        if not erase(experiment):
            raise Refused(
                f"the branch {experiment.branch} could not be deleted",
                f"git branch -D {experiment.branch}",
            )
    say(f"removed {experiment.folder} and the branch {experiment.branch}")


def own_state(experiment: Experiment) -> list[Step]:
    """Check the experiment's working tree: nothing uncommitted, nothing that DVC does not know."""
    if not experiment.folder.exists():
        return [done("tree", "removed already"), done("dvc", "removed already")]
    return [_tree(experiment), _dvc(experiment)]


def _tree(experiment: Experiment) -> Step:
    folder = experiment.folder
    if (branch := git(folder, "symbolic-ref", "--short", "--quiet", "HEAD")) != experiment.branch:
        where = f"is on {branch or 'no branch'}, not on {experiment.branch}"
        return failed(
            "tree", f"{folder.name} {where}", experiment.go(f"git switch {experiment.branch}")
        )
    changed, unknown = unsaved(folder)
    if changed:
        text = f"{len(changed)} not committed: {', '.join(changed[:5])}"
        return failed("tree", text, experiment.go('git add --all && git commit -m "…"'))
    if unknown:
        text = f"{len(unknown)} ignored by Git and unknown to DVC: {', '.join(unknown[:5])}"
        return failed("tree", text, experiment.go(f"mv {unknown[0]} ELSEWHERE   # or delete it"))
    return done("tree", "everything is committed")


def _dvc(experiment: Experiment) -> Step:
    status = run_dvc(experiment.folder, "status", "--json")
    if status.returncode == 0 and status.stdout.strip() == "{}":
        return done("dvc", "dvc status is clean")
    changed = (
        ", ".join(json.loads(status.stdout))
        if status.returncode == 0
        else " ".join(status.stderr.split())[:200]
    )
    return failed(
        "dvc", f"not recorded: {changed}", experiment.go('dvc repro && git commit --all -m "…"')
    )


def checklist(experiment: Experiment, work: Work, *, decline_data: bool) -> list[Step]:
    """Check what the experiment committed: tagged, in the remote, and in main.

    Args:
        experiment: the experiment.
        work: from `look_at`.
        decline_data: its new batches are not wanted in main.
    """
    collecting = f"./scripts/finish_worktree.sh {experiment.name} --collect"
    runs, batches = len(work.missing_runs), ", ".join(work.missing_batches)
    best = (
        f"the best, of run {work.best['track_id']}, is neither in production nor a candidate"
        if work.best
        else ""
    )
    wanted = "" if decline_data else batches
    return [
        _tag(experiment, work),
        _remote(experiment, work),
        failed(
            "runs",
            f"{runs} of {len(work.runs)} runs are not in main's committed database",
            collecting,
        )
        if runs
        else done("runs", f"{len(work.runs)} of its own, all in main's database"),
        failed("model", best, collecting)
        if best
        else done("model", "its best is in main, or it has none"),
        failed(
            "data", f"new batches that main lacks: {wanted}", f"{collecting}   # or: --decline-data"
        )
        if wanted
        else done("data", f"declined: {batches}" if batches else "no batch that main lacks"),
    ]


def _tag(experiment: Experiment, work: Work) -> Step:
    if (own := git(experiment.main, "rev-list", "--count", work.head, "--not", "HEAD")) == "0":
        return done("tag", "not needed: main has all its commits")
    form = "--format=%(objecttype) %(refname:lstrip=2) %(contents:subject)"
    tags = (
        git(experiment.main, "for-each-ref", f"--points-at={work.head}", form, "refs/tags") or ""
    ).splitlines()
    for tag in tags:
        if found := VERSION_TAG.fullmatch(tag):
            return done("tag", f"{found[1]}: {found[2]}")
    wrong = f" ({tags[0].split()[1]} is no version with a description)" if tags else ""
    text = f"{own} commits, and no version tag with a description on the last one{wrong}"
    return failed("tag", text, experiment.go("python scripts/version_tag.py --next minor --push"))


def _remote(experiment: Experiment, work: Work) -> Step:
    main = experiment.main
    try:
        wanted, remote = with_files(main, work.outputs.values()), open_remote(main)
        if remote is None:
            if absent := [md5 for md5 in wanted if cached_object(main, md5) is None]:
                return failed(
                    "remote",
                    f"none; the cache lacks {len(absent)} objects",
                    "dvc remote add --default …",
                )
            return done(
                "remote",
                f"none configured: {len(wanted)} objects are in the shared cache, pinned by the tag",
            )
        missing = missing_in_remote(main, remote, wanted)
    except LineageError as error:
        return failed("remote", error.problem, error.remedy or "make doctor")
    if missing:
        return failed(
            "remote", f"lacks {len(missing)} of {len(wanted)} objects", experiment.go("dvc push")
        )
    return done("remote", f"has all {len(wanted)} objects")


def _confirm(experiment: Experiment, losses: str, say: Say, *, force: bool) -> None:
    """Raise `Refused` unless the user wants to lose what the named lines say."""
    if not force:
        problem = f"{experiment.branch} is not home yet: {losses}"
        raise Refused(problem, "do what each ✗ says; --collect does remote, runs, model, data")
    say(f"This would be lost or left behind: {losses} (each ✗ above).")
    try:
        typed = input(f"Type {experiment.name} to remove it all the same: ")
    except EOFError:
        typed = ""
    if typed.strip() != experiment.name:
        raise Refused("not confirmed; nothing was removed")
