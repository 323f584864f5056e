"""Git merges rows as it merges lines: its driver for `dvc.lock`, `.dvc` files, metrics.json.

- `driver`: what Git calls, by `scripts/git_merge_driver.py`.
- `outputs`: how three versions of a recorded output become one.
- `three_way`: what that means for rows, as whole statements; `three_way_files` does it for data
  files and databases.
- `conflicts`: cells that both sides changed, kept until the merge is over; `commands` shows them.

Which outputs are merged (`MERGED` in `outputs`) may be changed.

Promise: a merge either holds the runs, rows and files of both sides, or is a conflict that names
what differs. Where this folder is deleted, Git merges lines, and each such
file is a conflict.
"""
