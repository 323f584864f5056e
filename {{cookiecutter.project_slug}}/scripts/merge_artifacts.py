"""Merge or rebase results databases and training data by hand."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from lineage.core.console import new_app, say

app = new_app(
    "Merge (accumulate) or rebase (replace what matches) results databases and training data."
)


Strategy = Literal["merge", "rebase"]
OnConflict = Literal["fail", "base", "incoming", "newest"]


@app.command()
def main(
    strategy: Annotated[
        Strategy | None, Option(help="What happens to rows that are there already.")
    ] = None,
    data_strategy: Annotated[
        Strategy | None, Option(help="For training data; default: --strategy.")
    ] = None,
    base_db: Annotated[str | None, Option(help="The accumulated results database.")] = None,
    exp_db: Annotated[
        list[str] | None, Option(help="Incoming databases: files, folders or globs.")
    ] = None,
    output_db: Annotated[
        Path | None, Option(help="Where the merged database goes; may be the base.")
    ] = None,
    table: Annotated[list[str] | None, Option(help="Tables to merge; default: all.")] = None,
    id_column: Annotated[
        str | None, Option(help="Identity of tables without a primary key.")
    ] = None,
    ancestor_db: Annotated[
        Path | None, Option(help="What --exp-db began as a copy of; default: Git finds it.")
    ] = None,
    base_data: Annotated[
        str | None, Option(help="The accumulated parquet: file, folder or glob.")
    ] = None,
    exp_data: Annotated[
        list[str] | None, Option(help="Incoming parquet: files, folders or globs.")
    ] = None,
    output_data: Annotated[
        Path | None, Option(help="Where the merged parquet goes; may be the base.")
    ] = None,
    key_columns: Annotated[
        list[str] | None, Option(help="Identity of data rows; what rebase replaces by.")
    ] = None,
    on_conflict: Annotated[
        OnConflict, Option(help="Which row wins: one identity with two contents.")
    ] = "fail",
    cast: Annotated[
        Literal["text"] | None, Option(help="Numbers become text where other files hold text.")
    ] = None,
    backup_tag: Annotated[
        str | None, Option(help="First make this Git tag of the present output.")
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    format: Annotated[Literal["table", "json"], Option(help="How to print the plan.")] = "table",
    yes: Annotated[bool, Option("--yes", help="Do not ask before a rebase replaces rows.")] = False,
) -> None:
    """Merge or rebase artifacts. Databases take --base-db, --exp-db, --output-db; data --base-data and so on."""
    from lineage.core.errors import BadInput
    from lineage.merge import merging
    from lineage.merge.rules import Plan, Rules, recommend

    confirm = (lambda _: True) if yes else typer.confirm
    keys, plans = tuple(key_columns or ()), list[Plan]()
    for chosen, base, patterns, output, tables in (
        (strategy, base_db, exp_db, output_db, True),
        (data_strategy or strategy, base_data, exp_data, output_data, False),
    ):
        if not patterns:
            continue
        if chosen is None or output is None:
            raise BadInput(
                "--strategy and --output-db (or --output-data) are needed",
                "merge_artifacts.py --help",
            )
        named, as_text = tuple(table or ()), cast is not None
        how = (
            Rules(chosen, keys, id_column, named, on_conflict, dry_run, cast_text=as_text)
            if tables
            else Rules(chosen, keys, on_conflict=on_conflict, dry_run=dry_run, cast_text=as_text)
        )
        done = merging.merge_by_hand(
            base, patterns, output, how, tables, confirm, ancestor_db, backup_tag
        )
        plans += done
        if format == "table":  # at once: the other artifact may still be refused
            say(
                "\n".join(
                    line for plan in done for line in (f"{chosen} {plan.line()}", *plan.samples)
                )
            )
            step = (
                None
                if dry_run or all(plan.is_empty for plan in done)
                else merging.next_step(output)
            )
            say(step) if step else None
    if not plans and not exp_db:
        raise BadInput("nothing to merge: give --exp-db or --exp-data", "merge_artifacts.py --help")
    if format == "json":
        told = {
            "plans": [plan.summary() for plan in plans],
            "recommended": recommend(plans) if dry_run else None,
        }
        say(json.dumps(told, indent=2))
    elif dry_run:
        say(f"recommended — {recommend(plans)}")


def spread(words: list[str]) -> Iterator[str]:
    """Let an option of several values take them at once: `--exp-db a b` is `--exp-db a --exp-db b`."""
    option = ""
    for word in words:
        if word.startswith("--"):
            option = word if word in ("--exp-db", "--exp-data", "--table", "--key-columns") else ""
        if not option:
            yield word
        elif word != option:
            yield from (option, word)


if __name__ == "__main__":
    app(list(spread(sys.argv[1:])))
