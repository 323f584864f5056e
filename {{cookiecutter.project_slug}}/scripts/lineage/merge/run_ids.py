"""Read the ids of all runs of a results database, from the column `track_id` of `metrics`."""

from pathlib import Path

from lineage.core.paths import METRICS
from lineage.tables.sqlite_files import count_rows
from lineage.tables.sqlite_reading import open_read_only

PREDICTIONS = "predictions"
"""The table, and the folder beside a database, that may hold what its runs predicted."""

RUN_ID = "track_id"
"""The column of the id of a run, in every table."""


def run_ids(database: Path) -> set[str]:
    """Read the ids of all runs of a results database."""
    with open_read_only(database) as connection:
        columns = f"pragma_table_info('{METRICS}')"
        if not count_rows(connection, f"{columns} WHERE name = '{RUN_ID}'"):
            return set()
        rows = f"{METRICS} WHERE {RUN_ID} IS NOT NULL"
        return {run for (run,) in connection.execute(f"SELECT CAST({RUN_ID} AS TEXT) FROM {rows}")}
