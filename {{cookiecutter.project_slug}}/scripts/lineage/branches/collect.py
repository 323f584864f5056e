"""How the work of an experiment is brought home into the main working tree.

What accumulates in `dvc.lock` is merged as Git's merge driver does it; batches go into main's inbox; `dvc repro` does
the rest by main's code and params.
"""

from pathlib import Path

import yaml

from lineage.branches.experiment_work import ExperimentWork
from lineage.branches.git_merge_driver import with_hash, write_yaml
from lineage.branches.merge_outputs import Versions, merge_folders, merge_results
from lineage.branches.start import Experiment
from lineage.core import paths
from lineage.core.console import say
from lineage.core.errors import Refused
from lineage.runs.model_file import model_name
from lineage.tracked.dvc import run_dvc
from lineage.tracked.git import git, must_git
from lineage.tracked.guarded_output import locked
from lineage.tracked.hashes import folder_manifest
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import bring, open_remote, send, with_files
from lineage.tracked.whole_file import write_text

WRITTEN = (paths.PIPELINE_LOCK, paths.METRICS_FILE, f"{paths.INCOMING_DATA}.dvc")
"""Tracked files of main that collecting changes."""

MERGED = {
    paths.DATABASE: merge_results,
    paths.PREDICTIONS: merge_folders,
    paths.CANDIDATES: merge_folders,
}
"""Outputs of main that the experiment's are merged into. `data/train.parquet` is not among them: main's `dvc repro`
merges the batches as main's params say, and has none to merge where they are not wanted."""


def collect(experiment: Experiment, work: ExperimentWork, *, with_data: bool) -> None:
    """Send the experiment's objects, and bring its runs, best model and batches into main.

    After a kill, the same again completes it. When `dvc repro` fails, main is as it was.

    Args:
        experiment: from `find_experiment`.
        work: from `compare_with_main`.
        with_data: also bring the batches.

    Raises:
        Refused: main has changes of its own; the remote does not answer; main and the experiment changed a run
            differently; `dvc repro` or the commit fails.

    """
    main = experiment.main
    batches = work.missing_batches if with_data else {}
    journal = main / ".dvc/tmp/lineage" / f"{experiment.folder.name}.collect"
    with locked(main, "the main working tree"):
        remote = open_remote(main)
        if remote is not None:
            sent = send(main, remote, with_files(main, work.theirs.values()))
            say(f"sent {len(sent)} objects to the remote")
        if not batches and not work.missing_runs and not work.best:
            return
        if journal.exists():  # a collecting was killed, and the changes are its own
            _undo(main, work)
        else:
            _refuse_changes(main)
        write_text(journal, work.head)
        try:
            _bring_home(experiment, work, batches)
        except Refused:
            _undo(main, work)
            journal.unlink()
            raise
        counts = f"{len(work.missing_runs)} runs, {len(batches)} batches"
        _commit(main, f"Collect {experiment.branch}: {counts}")
        journal.unlink()
    say(f"committed in {main}; next there: dvc push && git push")


def _refuse_changes(main: Path) -> None:
    changed = git(main, "status", "--porcelain", "--untracked-files=no")
    if changed:
        names = ", ".join(line[3:] for line in changed.splitlines()[:5])
        problem = f"main has changes that are not committed: {names}"
        raise Refused(problem, f'cd {main} && git commit --all -m "…"')
    if run_dvc(main, "status", "--json").stdout.strip() != "{}":
        problem = "main has changes that dvc repro has not seen"
        raise Refused(problem, f"cd {main} && dvc repro && git commit --all")


def _bring_home(experiment: Experiment, work: ExperimentWork, batches: dict[str, str]) -> None:
    """Merge results and batches into main, run its pipeline, and see to it that the best model is there."""
    main = experiment.main
    label = f"{experiment.folder.name}-{work.head[:8]}"
    _merge_recorded(main, work)
    for name, md5 in batches.items():
        target = main / paths.INCOMING_DATA / name
        if target.exists():  # another batch of that name
            target = target.with_stem(f"{target.stem}-{label}")
        bring(main, md5, target)
    if run_dvc(main, "repro", show=True).returncode != 0:
        problem = "dvc repro fails in main with what the experiment brings; main is as it was"
        where = f"../{experiment.folder.name}; then collect again"
        raise Refused(problem, f"mend what the lines above name, in {where}")
    if work.best:
        target = main / paths.CANDIDATES / model_name(work.best["track_id"])
        if not target.exists():  # its stage dropped it; the next promotion may prune it again
            bring(main, work.best["model_hash"], target)
            run_dvc(main, "commit", "--force", "promote_model")


def _merge_recorded(main: Path, work: ExperimentWork) -> None:
    """Merge what the experiment's `dvc.lock` records into main's, and check it out. Nothing of main's goes."""
    file = main / paths.PIPELINE_LOCK
    lock = yaml.safe_load(file.read_bytes())
    merged = []
    for stage in lock["stages"].values():
        for place, output in enumerate(stage["outs"]):
            path = output["path"]
            if path in MERGED and path in work.theirs:
                hashes = work.base.get(path, ""), output["md5"], work.theirs[path]
                md5 = MERGED[path](main, Versions(*hashes, may_drop=False))
                stage["outs"][place] = with_hash(output, md5)
                stage.pop("deps", None)  # so that dvc repro runs it again, and writes its reports
                merged.append(path)
    write_yaml(file, lock)
    run_dvc(main, "checkout", *merged)


def _undo(main: Path, work: ExperimentWork) -> None:
    """Take the batches out, and go back to what main's last commit records; the rest of an inbox is not touched."""
    inbox = main / paths.INCOMING_DATA
    for name, md5 in folder_manifest(inbox).items():
        if md5 in work.missing_batches.values():
            (inbox / name).unlink()
    for path in WRITTEN:
        git(main, "checkout", "HEAD", "--", path)
    inboxes = (paths.INCOMING_DATA, paths.INCOMING_RESULTS)
    outputs = [path for path in recorded_outputs(main, "HEAD") if path not in inboxes]
    run_dvc(main, "checkout", "--force", *outputs)


def _commit(main: Path, message: str) -> None:
    written = [path for path in WRITTEN if (main / path).exists()]
    git(main, "add", "--", *written)
    if git(main, "status", "--porcelain", "--", *written):
        command = ("commit", "--quiet", "--no-verify", "-m", message, "--", *written)
        must_git(main, *command, remedy=f"cd {main} && git commit")
