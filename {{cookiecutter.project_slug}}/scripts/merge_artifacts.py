"""Merge or rebase results databases and training data: the stages merge_data and merge_results, and by hand."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lineage.cli import guarded, new_app, say

app = new_app("Merge (accumulate) or rebase (replace what matches) results databases and training data.")


class Strategy(str, Enum):
    merge = "merge"
    rebase = "rebase"


class OnConflict(str, Enum):
    fail = "fail"
    base = "base"
    incoming = "incoming"
    newest = "newest"


class Stage(str, Enum):
    merge_data = "merge_data"
    merge_results = "merge_results"


@app.command()
def main(
    stage: Annotated[
        Stage | None, typer.Option(help="Run a pipeline stage; everything else comes from params.yaml.")
    ] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="What happens to rows that are there already.")] = None,
    data_strategy: Annotated[
        Strategy | None, typer.Option(help="The same for training data; default: --strategy.")
    ] = None,
    base_db: Annotated[Path | None, typer.Option(help="The accumulated results database.")] = None,
    exp_db: Annotated[list[str] | None, typer.Option(help="Incoming databases: files, folders or globs.")] = None,
    output_db: Annotated[Path | None, typer.Option(help="Where the merged database goes; may be the base.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Tables to merge; default: all.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Identity of tables without a primary key.")] = None,
    base_data: Annotated[Path | None, typer.Option(help="The accumulated parquet file.")] = None,
    exp_data: Annotated[list[str] | None, typer.Option(help="Incoming parquet: files, folders or globs.")] = None,
    output_data: Annotated[Path | None, typer.Option(help="Where the merged parquet goes; may be the base.")] = None,
    key_columns: Annotated[
        list[str] | None, typer.Option(help="Identity of data rows; what rebase replaces by.")
    ] = None,
    on_conflict: Annotated[
        OnConflict, typer.Option(help="Which row wins under merge when one identity has two contents.")
    ] = OnConflict.fail,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a rebase replaces rows.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Merge or rebase artifacts."""
    from lineage import merging

    def work() -> None:
        if stage is not None:
            merge = merging.merge_data_stage if stage is Stage.merge_data else merging.merge_results_stage
            merge(say)
            return
        request = merging.Request(
            strategy=strategy.value if strategy else None,
            data_strategy=data_strategy.value if data_strategy else None,
            base_db=base_db,
            exp_db=tuple(exp_db or ()),
            output_db=output_db,
            tables=tuple(table or ()),
            id_column=id_column,
            base_data=base_data,
            exp_data=tuple(exp_data or ()),
            output_data=output_data,
            key_columns=tuple(key_columns or ()),
            on_conflict=on_conflict.value,
        )
        merging.merge_by_hand(request, say, confirm=(lambda _: True) if yes else typer.confirm)

    guarded(work, debug=debug)


if __name__ == "__main__":
    app()
