"""Bring runs, best model and batches of an experiment into main; its code stays on its branch.

What accumulates is merged as Git's merge driver merges it, new batches go into main's inbox, and
`dvc repro` does the rest by main's code and params.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import read_params
from lineage.extras.git_merge.conflicts import refuse_conflicts
from lineage.extras.git_merge.driver import with_hash
from lineage.extras.git_merge.outputs import MERGED, Hashes, files_in
from lineage.extras.git_merge.three_way import Conflict
from lineage.extras.worktrees.experiment_work import ExperimentWork
from lineage.extras.worktrees.start import Experiment
from lineage.models.run_model import find_model
from lineage.runs.model_file import model_name
from lineage.tables.sources import read_sources
from lineage.tracked.cache import copy_out
from lineage.tracked.dvc import changed_stages, run_dvc
from lineage.tracked.git import git, must_git, run
from lineage.tracked.guarded_output import locked
from lineage.tracked.hashes import manifest_of
from lineage.tracked.recorded import PIPELINE_WRITES, recorded_outputs
from lineage.tracked.remote import obtain, open_remote, send, with_files
from lineage.tracked.version_tags import tags
from lineage.tracked.whole_file import write_text

WRITTEN = (paths.PARAMS, *PIPELINE_WRITES)
"""Tracked files of main that collecting changes."""

CHOOSE = (
    "\n  → cd {main} && python scripts/merge_artifacts.py --strategy merge --base-db {db}"
    " --exp-db {folder}/{db} --output-db {db} --on-conflict base && dvc commit --force {db}"
    ' && dvc repro && git commit --all -m "Take main\'s rows"'
    "   # or incoming: the experiment's rows; then collect again"
)
"""How to get past cells that both sides changed: what was merged by hand is not merged again."""


def collect(experiment: Experiment, work: ExperimentWork, *, with_data: bool) -> None:
    """Send the experiment's objects, and bring its runs, best model and batches into main.

    After a kill, the same again completes it. When something fails, main is as it was.

    Args:
        experiment: from `find_experiment`.
        work: from `compare_with_main`.
        with_data: also bring the batches.

    Raises:
        Refused: main has changes of its own; the remote does not answer; both sides changed a run
            differently; `dvc repro` or the commit fails.

    """
    main = experiment.main
    batches = work.missing_batches if with_data else {}
    with locked(main, "the main working tree"):
        remote = open_remote(main)
        if remote is not None:
            sent = send(main, remote, with_files(main, work.theirs.values()))
            say(f"sent {len(sent)} objects to the remote")
        if not (batches or work.missing_runs or work.best or work.has_corrections):
            _journal(experiment).unlink(missing_ok=True)  # of a commit that was made by hand
            refuse_conflicts(main, [], CHOOSE)  # there are none any more
            return
        _change_main(experiment, work, batches)
    say(f"committed in {main}; next there: dvc push && git push")


def _journal(experiment: Experiment) -> Path:
    """Name the file that is there while main is changed."""
    return experiment.main / ".dvc/tmp/lineage" / f"{experiment.folder.name}.collect"


def _change_main(experiment: Experiment, work: ExperimentWork, batches: dict[str, str]) -> None:
    """Bring everything home and commit it, or leave main as it was."""
    main = experiment.main
    journal = _journal(experiment)
    if journal.exists():  # a collecting was killed, and the changes are its own
        _undo(main, work)
    else:
        _refuse_changes(main)
    journal.touch()
    before = must_git(main, "rev-parse HEAD")
    try:
        _merge_recorded(experiment, work)
        if batches:
            _bring_batches(experiment, work.head, batches)
            _start_version(main)
        _reproduce(experiment, " --decline-data" if batches else "")
    except LineageError:
        git(main, f"reset --soft {before}")
        _undo(main, work)
        journal.unlink()
        raise
    _keep_best(main, work)
    counts = f"{len(work.missing_runs)} runs, {len(batches)} batches"
    if work.has_corrections:
        counts += ", corrected rows"
    written = [path for path in WRITTEN if (main / path).exists()]
    git(main, "add --", *written)
    command = ("commit --quiet --no-verify -m", f"Collect {experiment.branch}: {counts}")
    remedy = f'cd {main} && git commit --no-verify --all -m "Collect {experiment.branch}"'
    must_git(main, *command, "--", *written, remedy=remedy)
    journal.unlink()


def _reproduce(experiment: Experiment, options: str) -> None:
    """Run `dvc repro` in main; raise `Refused` where it fails, and name what may help."""
    if not run_dvc(experiment.main, "repro", show=True).returncode:
        return
    problem = "dvc repro fails in main with what the experiment brings; main is as it was"
    again = f"./scripts/finish_worktree.sh {experiment.name} --collect{options}"
    raise Refused(problem, f"{again}   # or first mend what is named, in {experiment.folder}")


def _refuse_changes(main: Path) -> None:
    changed = git(main, "diff --name-only HEAD")
    if changed:
        problem = f"main has changes that are not committed: {', '.join(changed.splitlines()[:5])}"
        raise Refused(problem, f'cd {main} && git commit --all -m "…"')
    if changed_stages(main):
        problem = "main has changes that dvc repro has not seen"
        raise Refused(problem, f'cd {main} && dvc repro && git commit --all -m "…"')


def _merge_recorded(experiment: Experiment, work: ExperimentWork) -> None:
    """Merge what the experiment records into main's `dvc.lock`, and check it out.

    Nothing of main's goes, whatever the experiment dropped: its copies may be older.
    """
    from dvc.utils.serialize import dumps_yaml, load_yaml

    main = experiment.main
    by_hand = read_sources(main / paths.DATABASE)
    file = main / paths.PIPELINE_LOCK
    lock = load_yaml(file)
    merged = []
    conflicts: list[Conflict] = []
    for stage in lock["stages"].values():
        for output in stage.get("outs", []):
            path = output["path"]
            if path not in MERGED or path not in work.theirs or work.theirs[path] in by_hand:
                continue
            hashes = Hashes(
                work.base.get(path, ""), output["md5"], work.theirs[path], may_drop=False
            )
            with_hash(output, MERGED[path](main, hashes, conflicts))
            stage.pop("deps", None)  # so that dvc repro runs it, and its reports are written anew
            merged.append(path)
    way_out = CHOOSE.format(main=main, folder=experiment.folder, db=paths.DATABASE)
    refuse_conflicts(main, conflicts, way_out)
    write_text(file, dumps_yaml(lock))
    _check_out(main, merged)


def _bring_batches(experiment: Experiment, head: str, batches: dict[str, str]) -> None:
    """Put batches into main's inbox, under another name where that is taken."""
    for name, md5 in batches.items():
        target = experiment.main / paths.INCOMING_DATA / name
        if target.exists():
            label = f"{experiment.folder.name}-{head[:8]}"
            target = target.with_stem(f"{target.stem}-{label}")
        copy_out(obtain(experiment.main, md5), target)


def _start_version(main: Path) -> None:
    """Give main's new runs a version of their own, where a tag has closed the one that it has."""
    version = read_params(main / paths.PARAMS).experiment.version
    if version not in tags(main):
        return
    run(main, sys.executable, "scripts/version_tag.py", "--start")
    new = read_params(main / paths.PARAMS).experiment.version
    git(main, "commit --quiet --no-verify -m", f"Start {new}", "--", paths.PARAMS)
    say(f"main's new runs are {new}, since a tag has closed {version}")


def _keep_best(main: Path, work: ExperimentWork) -> None:
    """Keep the best model as a candidate of main, with its artifacts, if its stage did not.

    The next may prune it.
    """
    run = work.best
    if run is None:
        return
    target = main / paths.CANDIDATES / model_name(run["track_id"])
    if not target.exists():
        copy_out(find_model(main, run), target)
        made = files_in(main, work.theirs.get(paths.ARTIFACTS, ""))
        for name, md5 in made.items():
            if name.startswith(f"{run['track_id']}/"):
                copy_out(obtain(main, md5), main / paths.ARTIFACTS / name)
        run_dvc(main, "commit --force promote_model")


def _undo(main: Path, work: ExperimentWork) -> None:
    """Go back to what main's last commit records; of an inbox, only what was brought is touched."""
    inbox = main / paths.INCOMING_DATA
    for name, md5 in manifest_of(inbox).items():
        if md5 in work.missing_batches.values():
            (inbox / name).unlink()
    for path in WRITTEN:
        git(main, f"checkout HEAD -- {path}")
    outputs = recorded_outputs(main, "HEAD").keys()
    inboxes = {paths.INCOMING_DATA, paths.INCOMING_RESULTS}  # where files may be dropped meanwhile
    _check_out(main, outputs - inboxes, "--force")


def _check_out(main: Path, outputs: Iterable[str], *options: str) -> None:
    done = run_dvc(main, "checkout", *options, *outputs)
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        remedy = f"cd {main} && make doctor   # names what is wrong; then: dvc checkout, and again"
        raise Refused(f"dvc checkout fails in main: {reason}", remedy)
