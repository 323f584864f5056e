"""Verify that everything that a tag names still exists, and fits together."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import (
    BadInput,
    LineageError,
    Refused,
)
from lineage.core.listing import print_rows
from lineage.core.paths import (
    PIPELINE_LOCK,
    PREDICTIONS,
    TRAINED_MODELS,
)
from lineage.results.version_results import Run, files_of, find_results, params_of
from lineage.runs.model_file import check_candidates, hashes_by_name, model_name
from lineage.tracked.cache import cached_object, is_whole
from lineage.tracked.git import (
    git,
    has_commit,
    main_root,
)
from lineage.tracked.history import check_history
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import (
    missing_in_remote,
    open_remote,
    with_files,
)
from lineage.tracked.version_tags import START, Tag, find_tag, tags
from lineage.versions.verify_code import other_code, other_data

LINKS = ("commit", "dvc.lock", "cache", "remote", "md5", "row", "model", "data", "code")
"""The chain from a row to all that it names."""

Whole = dict[str, bool]
"""Of objects in the cache: whether their bytes are whole."""


@dataclass
class Proof:
    """What is found out about a version.

    Attributes:
        tag: of the version.
        outputs: path and hash of all that DVC records at it.
        objects: the hashes of all objects behind the outputs.
        sent: the hashes of those that belong into the remote.
        problems: by link, what is wrong; empty when it holds. A link that is not there could not be
            looked at.
    """

    tag: Tag
    problems: dict[str, str]
    outputs: dict[str, str]
    objects: set[str]
    sent: set[str]

    def broken(self) -> list[str]:
        """Name the links that do not hold, in the order of the chain."""
        return [link for link in LINKS if self.problems.get(link)]

    def row(self) -> list[str | None]:
        """Return version, `yes` or `no` for each link (None: not looked at), and the problems."""
        cells = {link: "no" if problem else "yes" for link, problem in self.problems.items()}
        problems = "; ".join(f"{link}: {self.problems[link]}" for link in self.broken())
        return [self.tag.version, *map(cells.get, LINKS), problems or None]


def print_proofs(
    root: Path,
    chosen: Sequence[str],
    form: str,
) -> None:
    """Print for versions whether each link of the chain holds.

    Args:
        root: the project's root.
        chosen: versions; empty: all.
        form: as in `print_rows`.

    Raises:
        Refused: there is no such version, the remote does not answer, or not everything holds.
    """
    known = tags(root)
    if not known:
        raise Refused("there is no version yet", "python scripts/version_tag.py --suggest")
    proofs = verify(root, [find_tag(root, version) for version in chosen or known])
    print_rows(("version", *LINKS, "problem"), [proof.row() for proof in proofs], form)
    for check in (check_history, check_candidates):
        found = check(root)
        if found.remedy:
            warn(f"{found.text}\n  → {found.remedy}")
    for proof in proofs:
        for link in proof.broken():
            raise Refused("not everything holds", _remedy(proof.tag.version, link))


def verify(root: Path, chosen: Sequence[Tag]) -> list[Proof]:
    """Follow the chain row → tag → commit → dvc.lock → objects → md5 → model → data → code.

    Args:
        root: the project's root.
        chosen: tags.

    Raises:
        Refused: the remote does not answer.
    """
    storage = main_root(root)
    remote = open_remote(storage)
    whole: Whole = {}
    proofs = [_read(root, tag, whole) for tag in chosen]
    objects = set[str]().union(*(proof.objects for proof in proofs))
    absent = None if remote is None else missing_in_remote(storage, remote, objects)
    for proof in proofs:
        if proof.outputs:
            _check_objects(proof, whole, absent)
            _check_runs(root, proof)
    return proofs


def _read(
    root: Path,
    tag: Tag,
    whole: Whole,
) -> Proof:
    """Read what a tag records, and note whether its objects in the cache are whole."""
    storage = main_root(root)
    problems = {"commit": "", "dvc.lock": ""}
    if not has_commit(root, tag.commit):
        problems["commit"] = f"{tag.commit[:7]} is not in this clone"
    if git(root, "cat-file", "-e", f"{tag.commit}:./{PIPELINE_LOCK}") is None:
        problems["dvc.lock"] = "there is none: it was tagged without results"
    try:
        outputs = recorded_outputs(root, tag.commit)
        sent = recorded_outputs(root, tag.commit, pushed=True)
    except BadInput as error:
        problems["dvc.lock"] = error.problem
        return Proof(tag, problems, {}, set(), set())
    _look(storage, set(outputs.values()), whole)  # before a damaged listing is fetched anew
    objects = _with_files(storage, outputs)
    _look(storage, objects, whole)
    return Proof(tag, problems, outputs, objects, _with_files(storage, sent))


def _look(
    storage: Path,
    hashes: set[str],
    whole: Whole,
) -> None:
    for md5 in hashes - whole.keys():
        if known := cached_object(storage, md5):
            whole[md5] = is_whole(known, md5)


def _with_files(storage: Path, outputs: dict[str, str]) -> set[str]:
    hashes = set(outputs.values())
    with suppress(Refused):  # a listing that is nowhere is among the lost objects
        hashes = with_files(storage, hashes)
    return hashes


def _check_objects(
    proof: Proof,
    whole: Whole,
    absent: set[str] | None,
) -> None:
    """Look at cache, md5 and remote; `absent` is what the remote lacks, None without a remote."""
    lost = proof.objects - whole.keys()
    if absent is not None:
        lost &= absent
        proof.problems["remote"] = _count(proof.sent & absent, "not there")
    damaged = {md5 for md5 in proof.objects if not whole.get(md5, True)}
    proof.problems["cache"] = _count(lost, "nowhere")
    proof.problems["md5"] = _count(damaged, "damaged in the cache")


def _count(hashes: set[str], state: str) -> str:
    return f"{len(hashes)} objects are {state}, as {min(hashes)}" if hashes else ""


def _check_runs(root: Path, proof: Proof) -> None:
    """Look at row, model, data and code: the runs of `results/runs`, and what they say."""
    problems = proof.problems
    try:
        results = find_results(root, proof.tag.version)
        models = hashes_by_name(files_of(root, proof.outputs, TRAINED_MODELS))
        predictions = files_of(root, proof.outputs, PREDICTIONS)
    except LineageError as error:
        problems["row"] = error.problem
        return
    claims = _false_claims(proof.tag.text, results.runs[0])
    problems |= {"row": next(claims, ""), "model": ""}
    for run in reversed(results.runs):
        name = run["track_id"]
        if models.get(model_name(name)) != run["model_hash"]:
            problems["model"] = f"run {name} recorded another model"
        recorded = run.get("predictions_hash")
        if recorded and predictions.get(f"{name}.parquet") != recorded:
            problems["row"] = f"{PREDICTIONS} does not hold what run {name} recorded"
    problems["data"] = next(other_data(root, results), "")
    code = next(other_code(root, results), "")
    if code or all(run.get("code_hash") or run.get("git_dirty") == 0 for run in results.runs):
        problems["code"] = code  # else more than the files of dvc.lock may have run


def _false_claims(text: str, run: Run) -> Iterator[str]:
    """Say which `name=value` in the description of a tag is not so, as of a tag made by hand.

    Args:
        text: the description, as `suggest.describe` writes it; numbers may be rounded.
        run: the best of the version.
    """
    known = {**run, **params_of(run), "model": run.get("model_name"), "data": run["data_hash"]}
    claims = re.findall(r"(?:^| \| )(\w+)=([^\s,;]+)", text)
    for name, said in dict(reversed(claims)).items():  # the first counts: words come last
        value = known.get(name)
        true = str(value)[: len(said)] if name == "data" else str(value)
        if isinstance(value, float):
            decimals = len(said.partition(".")[2])
            true = f"{value:.{decimals}f}"
        if value is not None and said not in (true, str(value)):
            yield f"the tag says {name}={said}, and its best run {true}"


def _remedy(version: str, link: str) -> str:
    """Return the command that helps with a link of a version that is broken."""
    push = f"python scripts/version_tag.py --version {version} --push"
    explorer = "python scripts/experiment_explorer.py"
    remedies = {
        "commit": "git fetch --unshallow --tags   # or, in a full clone: git fetch --tags",
        "cache": f"{push}   # on the machine that made it",
        "md5": f"{explorer} checkout --version {version}   # fetches whole objects",
        "remote": f"{push}   # sends what is only here",
        "code": f"{START} patch && dvc repro   # the code that lies here, as the next version",
    }
    show = f"{explorer} show --version {version}"
    return remedies.get(link, f"{show}   # what it names; a version is made good by the next one")
