"""The command `merge_artifacts.py`, and `compact`: what options mean, and what is printed."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from lineage.core.console import Option, new_app, say
from lineage.core.errors import BadInput

if TYPE_CHECKING:
    from lineage.extras.merge_artifacts.merges import Request
    from lineage.merge.plan import Plan

merging = new_app("Merge (accumulate) or rebase (replace what matches) results and training data.")
compacting = new_app("The command `compact`, with options of its own.")

SEVERAL_VALUES = ("--exp-db", "--exp-data", "--table", "--key-columns")
Layout = Literal["file", "parts"]
Strategy = Literal["merge", "rebase"]
OnConflict = Literal["fail", "base", "incoming", "newest"]


@dataclass(frozen=True)
class Shared:
    """Options that mean the same for databases and for data."""

    key_columns: list[str] | None
    on_conflict: OnConflict
    cast: str | None
    backup_tag: str | None
    dry_run: bool
    yes: bool
    format: str
    layout: Layout | None
    plans: "list[Plan]" = field(default_factory=list)

    def request(
        self,
        base: str | None,
        sources: list[str],
        output: Path | None,
        strategy: Strategy | None,
        id_column: str | None = None,
        tables: list[str] | None = None,
    ) -> "Request":
        """Say what is to be merged where, and how; for databases, by which id in which tables."""
        from typer import confirm

        from lineage.extras.merge_artifacts.merges import Request
        from lineage.merge.rules import Rules

        if strategy is None or output is None:
            needed = "--strategy and --output-db (or --output-data) are needed"
            raise BadInput(needed, f"python {sys.argv[0]} --help")
        keys = ",".join(self.key_columns or ()).split(",")  # a b, or a,b
        rules = Rules(
            strategy,
            tuple(filter(None, keys)),
            on_conflict=self.on_conflict,
            dry_run=self.dry_run,
            id_column=id_column,
            tables=tuple(tables or ()),
            cast_text=self.cast is not None,
            layout=self.layout,
        )
        ask = _agree if self.yes else confirm
        return Request(base, sources, output, rules, ask, self.backup_tag)


@compacting.command()
def compact(
    data: Annotated[Path | None, Option(help="A folder of parts; default: train.parquet.")] = None,
) -> None:
    """Fold the small parts of data together; rows, their order and the record stay."""
    from lineage.core.paths import TRAIN_DATA, find_root
    from lineage.extras.merge_artifacts.merges import compact_by_hand, next_steps

    data = data or find_root() / TRAIN_DATA
    done = compact_by_hand(data)
    say(done)
    if not done.startswith("nothing"):
        for line in next_steps(data):
            say(line)


@merging.command()
def main(  # noqa: PLR0913 — options, as documented to users since the beginning
    strategy: Annotated[Strategy | None, Option(help="What happens to rows there.")] = None,
    data_strategy: Annotated[Strategy | None, Option(help="For data; default: --strategy.")] = None,
    base_db: Annotated[str | None, Option(help="The accumulated results database.")] = None,
    exp_db: Annotated[list[str] | None, Option(help="Incoming: files, folders, globs.")] = None,
    output_db: Annotated[Path | None, Option(help="The merged database; may be the base.")] = None,
    table: Annotated[list[str] | None, Option(help="Tables to merge; default: all.")] = None,
    id_column: Annotated[str | None, Option(help="Identity where there is no key.")] = None,
    ancestor_db: Annotated[Path | None, Option(help="Origin of --exp-db; default: found.")] = None,
    base_data: Annotated[str | None, Option(help="The accumulated parquet.")] = None,
    exp_data: Annotated[list[str] | None, Option(help="Incoming parquet.")] = None,
    output_data: Annotated[Path | None, Option(help="The merged data; may be the base.")] = None,
    data_layout: Annotated[Layout | None, Option(help="Of --output-data; default: kept.")] = None,
    key_columns: Annotated[list[str] | None, Option(help="What rebase replaces by.")] = None,
    on_conflict: Annotated[OnConflict, Option(help="Which of two contents wins.")] = "fail",
    cast: Annotated[Literal["text"] | None, Option(help="Let numbers become text.")] = None,
    backup_tag: Annotated[str | None, Option(help="First tag the present output.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan; change nothing.")] = False,
    format: Annotated[Literal["table", "json"], Option(help="How to print.")] = "table",
    yes: Annotated[bool, Option("--yes", help="Do not ask before rows are replaced.")] = False,
) -> None:
    """Merge or rebase: databases by --base-db, --exp-db, --output-db; data by --base-data ….

    `merge_artifacts.py compact --help`: fold small parts of data together.
    """
    from lineage.extras.merge_artifacts.merges import merge_data_by_hand, merge_databases_by_hand

    shared = Shared(key_columns, on_conflict, cast, backup_tag, dry_run, yes, format, data_layout)
    if exp_db:
        request = shared.request(base_db, exp_db, output_db, strategy, id_column, table)
        _report(shared, request, merge_databases_by_hand(request, ancestor_db))
    if exp_data:
        request = shared.request(base_data, exp_data, output_data, data_strategy or strategy)
        _report(shared, request, merge_data_by_hand(request))
    _summarise(shared, exp_db or exp_data)


def _report(shared: Shared, request: "Request", plans: "list[Plan]") -> None:
    """Print the plans at once: the other artifact may still be refused."""
    from lineage.extras.merge_artifacts.merges import next_steps

    shared.plans.extend(plans)
    if shared.format == "json":
        return
    for plan in plans:
        lines = [f"{plan.strategy} {plan.line()}", *plan.samples]
        say("\n".join(lines), is_result=shared.dry_run)
    if not shared.dry_run and not all(plan.is_empty for plan in plans):
        for line in next_steps(request.output):
            say(line)


def _summarise(shared: Shared, sources: list[str] | None) -> None:
    """Print which strategy fits after a dry run, or everything as JSON."""
    from lineage.extras.merge_artifacts.recommend import recommend

    if not sources:
        problem = "nothing to merge: give --exp-db or --exp-data"
        raise BadInput(problem, f"python {sys.argv[0]} --help")
    plans = shared.plans
    recommended = recommend(plans) if shared.dry_run else None
    if shared.format == "json":
        counts = [asdict(plan) for plan in plans]
        for each in counts:
            del each["differing"]  # told by what is recommended
        told = {"plans": counts, "recommended": recommended}
        say(json.dumps(told, indent=2), is_result=True)
    elif recommended:
        say(f"recommended — {recommended}", is_result=True)
    elif not plans:
        say("+0: no incoming database has a table that is merged")


def _agree(question: str) -> bool:
    """Agree without being asked (--yes)."""
    return True


def spread(words: list[str]) -> Iterator[str]:
    """Let an option take several values: `--exp-db a b` is `--exp-db a --exp-db b`."""
    option = ""
    for word in words:
        if word.startswith("--"):
            option = word if word in SEVERAL_VALUES else ""
        if not option:
            yield word
        elif word != option:
            yield option
            yield word


def app() -> None:
    """Obey the words of the command line: `compact`, or a merge."""
    if sys.argv[1:2] == ["compact"]:
        compacting(sys.argv[2:], prog_name="merge_artifacts.py compact")
    merging(list(spread(sys.argv[1:])))
