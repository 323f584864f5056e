"""Split a table `predictions` into parquet files, one for each run."""

from contextlib import closing
from pathlib import Path

from lineage.core.errors import BadInput
from lineage.extras.predictions_table.sqlite_values import read_values
from lineage.merge.predictions import SUFFIX
from lineage.merge.run_ids import PREDICTIONS, RUN_ID, run_ids
from lineage.tables.as_sqlite import SqliteFile
from lineage.tables.parquet_files import copy_statement
from lineage.tables.sql import Engine, text


def split_table(engine: Engine, source: Path, database: SqliteFile, folder: Path) -> list[Path]:
    """Split the table `predictions` of a database into files, one for each of its runs.

    Args:
        engine: reads the table.
        source: the database, for messages.
        database: its tables.
        folder: where the files are written; it is made.

    Raises:
        BadInput: rows do not say of which run they are, or a column has values of several types.
    """
    if RUN_ID not in database.tables[PREDICTIONS].column_names:
        raise BadInput(f"{source}: table {PREDICTIONS!r} has no column {RUN_ID!r}")
    folder.mkdir()
    files = []
    known = run_ids(database.path)
    with closing(engine.cursor()) as own:
        read_values(own, database.path, PREDICTIONS, "typed")
        runs = own.execute(f"SELECT DISTINCT {RUN_ID}::VARCHAR FROM typed ORDER BY 1").fetchall()
        for (run,) in runs:
            if run in known:
                files.append(folder / f"{run}{SUFFIX}")
                rows = f"""
                    SELECT {RUN_ID}::VARCHAR AS {RUN_ID}, * EXCLUDE ({RUN_ID})
                    FROM typed WHERE {RUN_ID}::VARCHAR = {text(run)}
                """
                own.execute(copy_statement(rows, files[-1], {}))
    return files
