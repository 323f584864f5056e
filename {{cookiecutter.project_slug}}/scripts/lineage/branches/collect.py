"""Bring runs, best model and batches of an experiment into main; its code stays on its branch.

What accumulates is merged as Git's merge driver merges it, new batches go into main's inbox, and
`dvc repro` does the rest by main's code and params.
"""

import sys
from pathlib import Path

from lineage.branches.conflicts import refuse_conflicts
from lineage.branches.experiment_work import ExperimentWork
from lineage.branches.git_merge_driver import with_hash
from lineage.branches.merge_outputs import Hashes, merge_folders, merge_results
from lineage.branches.start import Experiment
from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import read_params
from lineage.merge.three_way import Conflict
from lineage.models.run_model import find_model
from lineage.results.chosen_by import Row
from lineage.runs.model_file import model_name
from lineage.tracked.cache import copy_out
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git, must_git, run
from lineage.tracked.guarded_output import locked
from lineage.tracked.hashes import folder_manifest
from lineage.tracked.recorded import recorded_md5, recorded_outputs
from lineage.tracked.remote import bring, open_remote, send, with_files
from lineage.tracked.version_tags import tags
from lineage.tracked.whole_file import write_text

WRITTEN = (
    paths.PARAMS,
    paths.PIPELINE_LOCK,
    paths.METRICS_FILE,
    f"{paths.INCOMING_DATA}.dvc",
)
"""Tracked files of main that collecting changes."""

MERGED = {
    paths.DATABASE: merge_results,
    paths.PREDICTIONS: merge_folders,
    paths.CANDIDATES: merge_folders,
    paths.ARTIFACTS: merge_folders,
}
"""Outputs of main that the experiment's are merged into.

`data/train.parquet` is not among them: main's `dvc repro` merges the new batches, by main's rules.
"""

INBOXES = (paths.INCOMING_DATA, paths.INCOMING_RESULTS)
"""Folders of main that somebody may drop files into at any time."""


def collect(
    experiment: Experiment,
    work: ExperimentWork,
    *,
    with_data: bool,
) -> None:
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
            objects = with_files(main, work.theirs.values())
            sent = send(main, remote, objects)
            say(f"sent {len(sent)} objects to the remote")
        if not batches and not work.missing_runs and not work.best:
            return
        _change_main(experiment, work, batches)
    say(f"committed in {main}; next there: dvc push && git push")


def _change_main(
    experiment: Experiment,
    work: ExperimentWork,
    batches: dict[str, str],
) -> None:
    """Bring everything home and commit it, or leave main as it was."""
    main = experiment.main
    journal = main / ".dvc/tmp/lineage" / f"{experiment.folder.name}.collect"
    if journal.exists():  # a collecting was killed, and the changes are its own
        _undo(main, work)
    else:
        _refuse_changes(main)
    write_text(journal, work.head)
    before = must_git(main, "rev-parse", "HEAD")
    try:
        _merge_recorded(main, work)
        _bring_batches(experiment, work.head, batches)
        _start_version(main, work)
        _reproduce(experiment)
    except LineageError:
        git(main, "reset", "--soft", before)
        _undo(main, work)
        journal.unlink()
        raise
    if work.best:
        _keep_model(main, work.best)
    counts = f"{len(work.missing_runs)} runs, {len(batches)} batches"
    _commit(main, f"Collect {experiment.branch}: {counts}")
    journal.unlink()


def _refuse_changes(main: Path) -> None:
    changed = git(main, "diff", "--name-only", "HEAD")
    if changed:
        names = ", ".join(changed.splitlines()[:5])
        problem = f"main has changes that are not committed: {names}"
        raise Refused(problem, f'cd {main} && git commit --all -m "…"')
    status = run_dvc(main, "status", "--json")
    if status.stdout.strip() != "{}":
        problem = "main has changes that dvc repro has not seen"
        raise Refused(problem, f"cd {main} && dvc repro && git commit --all")


def _merge_recorded(main: Path, work: ExperimentWork) -> None:
    """Merge what the experiment records into main's `dvc.lock`, and check it out.

    Nothing of main's goes, whatever the experiment dropped.
    """
    from dvc.utils.serialize import dumps_yaml, load_yaml

    file = main / paths.PIPELINE_LOCK
    lock = load_yaml(file)
    merged = []
    conflicts: list[Conflict] = []
    for stage in lock["stages"].values():
        for number, output in enumerate(stage.get("outs", [])):
            path = output["path"]
            if path not in MERGED or path not in work.theirs:
                continue
            base = work.base.get(path, "")
            theirs = work.theirs[path]
            hashes = Hashes(base, output["md5"], theirs, may_drop=False)
            md5 = MERGED[path](main, hashes, conflicts)
            stage["outs"][number] = with_hash(output, md5)
            stage.pop("deps", None)  # so that dvc repro runs it, and its reports are written anew
            merged.append(path)
    refuse_conflicts(main, conflicts, by_git=False)
    write_text(file, dumps_yaml(lock))
    run_dvc(main, "checkout", *merged)


def _bring_batches(
    experiment: Experiment,
    head: str,
    batches: dict[str, str],
) -> None:
    """Put batches into main's inbox, under another name where that is taken."""
    inbox = experiment.main / paths.INCOMING_DATA
    for name, md5 in batches.items():
        target = inbox / name
        if target.exists():
            label = f"{experiment.folder.name}-{head[:8]}"
            target = target.with_stem(f"{target.stem}-{label}")
        bring(experiment.main, md5, target)


def _start_version(main: Path, work: ExperimentWork) -> None:
    """Give main's new runs a version of their own, where a tag has closed the one that it has.

    There are new runs when the batches change main's data, which main's rules decide.
    """
    version = read_params(main / paths.PARAMS).experiment.version
    if version not in tags(main):
        return
    run_dvc(main, "repro", "merge_data", show=True)
    if recorded_md5(main, paths.TRAIN_DATA) == work.ours.get(paths.TRAIN_DATA):
        return
    run(main, sys.executable, "scripts/version_tag.py", "--start")
    new = read_params(main / paths.PARAMS).experiment.version
    git(main, "commit", "--quiet", "--no-verify", "-m", f"Start {new}", "--", paths.PARAMS)
    say(f"main's new runs are {new}, since a tag has closed {version}")


def _reproduce(experiment: Experiment) -> None:
    if run_dvc(experiment.main, "repro", show=True).returncode:
        problem = "dvc repro fails in main with what the experiment brings; main is as it was"
        where = f"../{experiment.folder.name}; then collect again"
        raise Refused(problem, f"mend what the lines above name, in {where}")


def _keep_model(main: Path, run: Row) -> None:
    """Keep a run's model as a candidate of main if its stage did not; the next may prune it."""
    target = main / paths.CANDIDATES / model_name(run["track_id"])
    if not target.exists():
        copy_out(find_model(main, run), target)
        run_dvc(main, "commit", "--force", "promote_model")


def _undo(main: Path, work: ExperimentWork) -> None:
    """Go back to what main's last commit records; of an inbox, only what was brought is touched."""
    inbox = main / paths.INCOMING_DATA
    for name, md5 in folder_manifest(inbox).items():
        if md5 in work.missing_batches.values():
            (inbox / name).unlink()
    for path in WRITTEN:
        git(main, "checkout", "HEAD", "--", path)
    outputs = [path for path in recorded_outputs(main, "HEAD") if path not in INBOXES]
    run_dvc(main, "checkout", "--force", *outputs)


def _commit(main: Path, message: str) -> None:
    written = [path for path in WRITTEN if (main / path).exists()]
    git(main, "add", "--", *written)
    command = ("commit", "--quiet", "--no-verify", "-m", message, "--", *written)
    must_git(main, *command, remedy="commit there yourself")
