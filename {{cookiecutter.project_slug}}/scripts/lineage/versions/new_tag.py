"""Make the annotated tag of a version, of a state that is recorded and committed.

Its text describes the version: it says what is special about the best run.
"""

from contextlib import suppress
from pathlib import Path

from lineage.core.code_hash import code_files, code_hash
from lineage.core.console import say
from lineage.core.errors import LineageError, Refused
from lineage.core.params import Params, read_params
from lineage.core.paths import DATABASE, EXPERIMENT, METRICS_FILE, PARAMS, PIPELINE_LOCK, RUNS
from lineage.core.version_numbers import Part, following, parse
from lineage.results.leaderboard import Row, best_runs
from lineage.results.version_results import find_results, params_of
from lineage.tables import sql
from lineage.tracked.dvc import changed_stages
from lineage.tracked.git import common_folder, git, must_git
from lineage.tracked.guarded_output import locked
from lineage.tracked.ignored import check_tracked
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, find_tag, newest_tag, tags

COMMAND = "python scripts/version_tag.py"
NEW_FILES = {PIPELINE_LOCK, METRICS_FILE}
"""What the first `dvc repro` makes for Git to track."""


def tag_now(
    root: Path, version: str | None, part: Part | None, text: str | None, message: str | None
) -> Tag:
    """Make the annotated tag of the present state.

    Args:
        root: the project's root.
        version: its name, which is that of the results; or None:
        part: the number to raise in the newest version of this history. Results that are tagged
            already get the new one, too.
        text: as in `describe`.
        message: commit with it first what `dvc repro` and you changed in tracked files.

    Raises:
        BadInput: not a version, or params.yaml.
        Refused: the version is taken, `dvc status` or the tree is not clean, there are no such
            results, or other code ran.
    """
    params = read_params(root / PARAMS)
    written = params.experiment.version
    with locked(common_folder(root), "tags"):  # which all working trees share
        name = _choose_name(root, version, part, written)
        check_recorded(root)
        run = newest_run(root, params)
        if run.get("code_hash") not in (None, code_hash(code_files(root))):
            raise Refused(
                f"run {run['track_id']} had another {EXPERIMENT}, or a module that it imports",
                "dvc repro --force --single-item train && dvc repro",
            )
        body = line = describe(root, params, run, text)
        if message is not None:
            _commit(root, message)
        check_clean(root)
        if name != written:
            body += f"\n\nThe rows say {written}."
        must_git(root, "tag --cleanup=whitespace", f"--message={body}", name)
    say(f"tagged {name}: {line}")
    if name != written:
        say(f"its rows say {written}, as do those of that tag: they are the same runs")
    return find_tag(root, name)


def describe(root: Path, params: Params, run: Row, text: str | None) -> str:
    """Describe results: `model=… | C=… | f1_score=0.9312 | data=3a2f1b | text`.

    Args:
        root: the project's root.
        params: of now.
        run: the best one. Its params that are as in the last version are left out.
        text: the last part; None: `experiment.description`.
    """
    now = params_of(run)
    before: Row = {}
    if last := newest_tag(root):
        with suppress(LineageError):  # results that are nowhere: all params are told
            before = params_of(find_results(root, last.version).runs[0])
    parts = [f"model={now.pop('name')}"] if "name" in now else []
    parts += [f"{name}={value}" for name, value in now.items() if before.get(name) != value]
    metric = params.promote.metric
    value = run[metric]
    parts.append(f"{metric}=NULL" if value is None else f"{metric}={value:.4f}")
    parts.append(f"data={str(run['data_hash'])[:6]}")
    parts.append(" ".join((text or params.experiment.description).split()))
    return " | ".join(filter(None, parts))


def newest_run(root: Path, params: Params) -> Row:
    """Read the best of the runs that `dvc repro` did last.

    Raises:
        Refused: none of them is of the version in params.yaml.
    """
    version = params.experiment.version
    promote = params.promote
    runs = best_runs(
        root / DATABASE,
        promote.metric,
        promote.mode,
        track_ids=[path.stem for path in (root / RUNS).glob("*.db")],
        where=f"version = {sql.text(version)}",
    )
    if not runs:
        raise Refused(f"{DATABASE} holds no results of {version} from the last run", "dvc repro")
    return runs[0]


def _choose_name(root: Path, version: str | None, part: Part | None, written: str) -> str:
    """Return the name of the tag.

    Args:
        root: the project's root.
        version, part: as in `tag_now`.
        written: the version of the results, from params.yaml.

    Raises:
        BadInput: not a version.
        Refused: it is taken, or the results are of another one that is free.
    """
    known = tags(root)
    last = newest_tag(root)
    name = version or written
    if version is None and last:
        name = following(last.version, part or "patch", known)
    parse(name)
    closed = known.get(written)
    if closed and not holds_runs(root, closed):
        problem = f"{closed.whose()}, and holds other runs than those of the last dvc repro"
        raise Refused(problem, f"{COMMAND} --renumber   # gives these a number of their own")
    if old := known.get(name):
        raise Refused(old.whose(), f"{COMMAND} --suggest")
    other = f"set experiment.version: {name} in {PARAMS}, then: dvc repro"
    if name != written and closed is None:
        raise Refused(
            f"the results are of {written}, which is free, and not of {name}",
            f"{COMMAND} --version {written}   # or {other}",
        )
    if version not in (None, written):
        problem = f"{PARAMS} says experiment.version: {written}, so the results are not of {name}"
        raise Refused(problem, other)
    return name


def holds_runs(root: Path, tag: Tag) -> bool:
    """Tell whether the newest runs are those that a tag holds."""
    return recorded_md5(root, RUNS, tag.commit) == recorded_md5(root, RUNS)


def check_recorded(root: Path) -> None:
    """Raise `Refused` unless everything is tracked, and what `dvc repro` made of it."""
    check_tracked(root)
    if changed := changed_stages(root):
        raise Refused(
            f"dvc status is not clean: {', '.join(changed)}",
            "dvc repro   # in a fresh clone first: dvc pull",
        )


def check_clean(root: Path) -> None:
    """Raise `Refused` when Git finds changes or new files."""
    if status := must_git(root, "status --porcelain --untracked-files=all -- ."):
        names = ", ".join(line[3:] for line in status.splitlines()[:5])
        raise Refused(
            f"the tree is not clean: {names}",
            f'{COMMAND} … --commit "message"   # new files: git add them',
        )


def _commit(root: Path, message: str) -> None:
    """Commit the changes of tracked files, and those of `NEW_FILES` that are there."""
    untracked = git(root, "ls-files --others --exclude-standard -z") or ""
    new = set(untracked.split("\0")[:-1])
    if strange := sorted(new - NEW_FILES):
        raise Refused(
            f"new files are not tracked: {', '.join(strange[:5])}",
            "git add them, or name them in .gitignore",
        )
    must_git(root, "add --", *new)
    if git(root, "diff --quiet HEAD -- .") is None:
        must_git(root, "commit", f"--message={message}", "--", ".")
