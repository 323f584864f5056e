"""Give runs whose version is taken the next free one, in rows, params.yaml and card; tag it."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from lineage.core.console import say
from lineage.core.errors import Refused, explain_missing
from lineage.core.params import read_params
from lineage.core.paths import DATABASE, PARAMS, PRODUCTION, RUNS
from lineage.core.version_numbers import Part
from lineage.models.model_card import read_card, write_card
from lineage.results.plots import write_reports
from lineage.tables.sqlite_reading import open_read_only
from lineage.tracked.dvc import run_dvc
from lineage.tracked.guarded_output import guarded_output
from lineage.tracked.version_tags import Tag, tags
from lineage.tracked.whole_file import write_text
from lineage.versions.new_tag import COMMAND, check_clean, check_recorded, holds_runs, tag_now
from lineage.versions.start import next_version, set_version

WHERE = "WHERE version <> ?1 AND track_id IN (SELECT value FROM json_each(?2))"
JOURNAL = ".dvc/tmp/lineage/renumber.json"
"""Holds both numbers and the runs, until they have their tag."""


def renumber_runs(
    root: Path,
    part: Part | None,
    text: str | None,
    message: str | None,
) -> Tag:
    """Give the runs of the last `dvc repro` the next free version, then commit and tag it.

    Rows, params.yaml and the card of production change in nothing but the version. After a kill,
    the same again completes it.

    Args:
        root: the project's root.
        part: the number to raise; None: as `--suggest` says. What a killed command chose counts
            instead.
        text: as in `tag_now`.
        message: as in `tag_now`; without one, the tree has to be clean.

    Raises:
        BadInput: no number is named, and the extra `compare` is not here.
        Refused: not everything is recorded and committed, or the runs have this number by right.
    """
    promote = read_params(root / PARAMS).promote
    runs = sorted((root / RUNS).glob("*.db"))
    track_ids = [run.stem for run in runs]
    old, new = _choose_number(root, _free_number(root, part), track_ids, is_clean=message is None)
    for file in (root / DATABASE, *runs):
        _change(root, file, (new, json.dumps(track_ids)))
    card = read_card(root)
    if card and card["track_id"] in track_ids:
        write_card(root / PRODUCTION, {**card, "version": new})
    set_version(root, new)
    write_reports(root, track_ids, promote.metric, promote.mode)
    run_dvc(root, "commit --force")
    say(f"{len(runs)} runs said {old}, and say {new} now")
    made = tags(root).get(new)
    try:
        if made and holds_runs(root, made):
            return made
        return tag_now(root, new, None, text, message or f"Renumber {old} as {new}")
    finally:
        (root / JOURNAL).unlink()


def _free_number(root: Path, part: Part | None) -> str:
    """Find the next version that is free."""
    if part:
        return next_version(root, part)
    with explain_missing("compare", "version_tag.py --renumber without patch, minor or major"):
        from lineage.extras.compare.suggest import suggested_version
    return suggested_version(root)


def _choose_number(root: Path, new: str, track_ids: list[str], is_clean: bool) -> tuple[str, str]:
    """Return the number of runs and their new one, once it is clear that they may have it.

    After a kill, they are those that were chosen before.
    """
    journal = root / JOURNAL
    if journal.exists():
        before, chosen, begun = json.loads(journal.read_text(encoding="utf-8"))
        if begun == track_ids:
            return before, chosen
    old = read_params(root / PARAMS).experiment.version
    check_recorded(root)
    if is_clean:
        check_clean(root)
    closed = tags(root).get(old)
    if new == old or (closed and holds_runs(root, closed)):
        raise Refused(f"the newest runs are {old} by right", f"{COMMAND} --suggest")
    write_text(journal, json.dumps([old, new, track_ids]))
    return old, new


def _change(root: Path, file: Path, values: tuple[str, str]) -> None:
    """Change the version of runs in a copy of their database, which then takes its place."""
    with open_read_only(file) as connection:
        if not connection.execute(f"SELECT * FROM metrics {WHERE}", values).fetchall():
            return  # before a kill it was changed
    with guarded_output(root, file.relative_to(root).as_posix()) as output:
        shutil.copyfile(file, output.draft)
        with closing(sqlite3.connect(output.draft)) as connection, connection:
            connection.execute(f"UPDATE metrics SET version = ?1 {WHERE}", values)
        output.publish(replaces=True)
