"""Check, link by link (`LINKS`), that all that a tag names is there and fits: a row per version."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lineage.core.console import progress, warn
from lineage.core.errors import (
    BadInput,
    LineageError,
    Refused,
    explain_missing,
)
from lineage.core.paths import (
    PIPELINE_LOCK,
    PREDICTIONS,
    TRAINED_MODELS,
)
from lineage.extras.retrieve.files_at_commit import hashes_by_name
from lineage.extras.show.listing import print_rows
from lineage.extras.verify.what_ran import other_code, other_data
from lineage.results.leaderboard import Row
from lineage.results.version_results import files_of, find_results, params_of
from lineage.runs.model_file import model_name
from lineage.tracked.cache import cached_object, is_whole
from lineage.tracked.git import git, main_root
from lineage.tracked.ignored import check_tracked
from lineage.tracked.recorded import recorded_outputs
from lineage.tracked.remote import (
    listing,
    missing_in_remote,
    open_remote,
)
from lineage.tracked.version_tags import START, Tag, find_tag, tags

LINKS = ("commit", "dvc.lock", "cache", "remote", "md5", "row", "model", "data", "code")
"""The chain from a row to all that it names."""


@dataclass
class Proof:
    """What is found out about a version.

    Attributes:
        tag: of the version.
        objects: the hash and path of each object behind what DVC records at it.
        sent: those that belong into the remote.
        problems: by link, what is wrong; empty when it holds. A link that is not there could not be
            looked at.
    """

    tag: Tag
    problems: dict[str, str]
    objects: dict[str, str]
    sent: dict[str, str]

    def note(self, link: str, hashes: set[str], state: str) -> None:
        """Note that a link holds, unless there are objects in a state that they must not be in."""
        found = sorted(self.objects[md5] for md5 in hashes)
        text = f"{len(found)} objects are {state}, as {found[0]}" if found else ""
        self.problems[link] = text

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
    _warn(root)
    for proof in proofs:
        for link in proof.broken():
            raise Refused("not everything holds", _remedy(proof.tag.version, link))


def _warn(root: Path) -> None:
    """Warn where files are ignored, and of history and candidates, at which an extra looks."""
    try:
        check_tracked(root)
    except Refused as ignored:
        warn(str(ignored))
    try:
        with explain_missing("doctor", "what verify says of history and candidates"):
            from lineage.extras.doctor.examine import check_candidates, check_history
    except BadInput as missing:
        warn(str(missing))
        return
    for check in (check_history, check_candidates):
        found = check(root)
        if found.remedy:
            warn(f"{found.text}\n  → {found.remedy}")


def verify(root: Path, chosen: Sequence[Tag]) -> list[Proof]:
    """Follow the chain row → tag → commit → dvc.lock → objects → md5 → model → data → code.

    Args:
        root: the project's root.
        chosen: tags.

    Raises:
        Refused: the remote does not answer.
    """
    remote = open_remote(root)
    proofs: list[Proof] = []
    with progress("reading what versions record", len(chosen)) as show:
        for tag in chosen:
            show(len(proofs))
            proofs.append(_read(root, tag))
    objects = set[str]().union(*(proof.objects for proof in proofs))
    absent = None if remote is None else missing_in_remote(root, remote, objects)
    for proof in proofs:
        if proof.objects:
            _check_objects(root, proof, absent)
            _check_runs(root, proof)
    return proofs


def _read(root: Path, tag: Tag) -> Proof:
    """Read what a tag records."""
    problems = {"commit": "", "dvc.lock": ""}
    if git(root, f"cat-file -e {tag.commit}^{{commit}}") is None:
        problems["commit"] = f"{tag.commit[:7]} is not in this clone"
    if git(root, f"cat-file -e {tag.commit}:./{PIPELINE_LOCK}") is None:
        problems["dvc.lock"] = "there is none: it was tagged without results"
    try:
        sent = _objects(root, tag.commit, pushed=True)
        return Proof(tag, problems, _objects(root, tag.commit), sent)
    except BadInput as error:
        problems["dvc.lock"] = error.problem
        return Proof(tag, problems, {}, {})


def _objects(root: Path, commit: str, pushed: bool = False) -> dict[str, str]:
    """Find the paths of all objects behind what a commit records, or is pushed, by their hashes."""
    objects = {}
    for path, md5 in recorded_outputs(root, commit, pushed=pushed).items():
        objects[md5] = path
        _in_cache(root, md5)  # before a damaged listing is fetched anew
        with suppress(Refused):  # a listing that is nowhere is among the lost objects
            for name, file_md5 in listing(root, md5).items():
                objects[file_md5] = str(Path(path, name))
    return objects


@cache
def _in_cache(root: Path, md5: str) -> bool | None:
    """Tell whether the object in the cache is whole, when it is asked first; None: it is absent."""
    known = cached_object(main_root(root), md5)
    return is_whole(known, md5) if known else None


def _check_objects(
    root: Path,
    proof: Proof,
    absent: set[str] | None,
) -> None:
    """Look at cache, md5 and remote; `absent` is what the remote lacks, None without a remote."""
    damaged = {md5 for md5 in proof.objects if _in_cache(root, md5) is False}
    lost = {md5 for md5 in proof.objects if _in_cache(root, md5) is None}
    if absent is not None:
        lost &= absent
        proof.note("remote", proof.sent.keys() & absent, "not there")
    proof.note("cache", lost, "nowhere")
    proof.note("md5", damaged, "damaged in the cache")


def _check_runs(root: Path, proof: Proof) -> None:
    """Look at row, model, data and code: the runs of `results/runs`, and what they say."""
    problems = proof.problems
    try:
        results = find_results(root, proof.tag.version)
        models = hashes_by_name(files_of(root, results.outputs, TRAINED_MODELS))
        predictions = files_of(root, results.outputs, PREDICTIONS)
    except LineageError as error:
        problems["row"] = error.problem
        return
    problems["row"] = next(_false_claims(proof.tag.text, results.runs[0]), "")
    problems["model"] = ""
    for run in reversed(results.runs):
        name = run["track_id"]
        if models.get(model_name(name)) != run["model_hash"]:
            problems["model"] = f"run {name} recorded another model"
        if run.get("predictions_hash") not in (None, predictions.get(f"{name}.parquet")):
            problems["row"] = f"{PREDICTIONS} does not hold what run {name} recorded"
    problems["data"] = next(other_data(root, results), "")
    code = next(other_code(root, results), "")
    if code or all(run.get("code_hash") or run.get("git_dirty") == 0 for run in results.runs):
        problems["code"] = code  # else more than the files of dvc.lock may have run


def _false_claims(text: str, run: Row) -> Iterator[str]:
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
        "cache": f"{push}   # on the machine that made it",
        "md5": f"{explorer} checkout --version {version}   # fetches whole objects",
        "remote": f"{push}   # sends what is only here",
        "code": f"{START} patch && dvc repro   # the code that lies here, as the next version",
    }
    show = f"{explorer} show --version {version}"
    return remedies.get(link, f"{show}   # what it names; a version is made good by the next one")
