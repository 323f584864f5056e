"""Git's merge driver, `git_merge_driver.py %O %A %B %P`, as `make setup` configures it."""

import argparse
import subprocess
import sys
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput, explain_missing

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Git runs to merge a file: see `make setup`.")
    for name in ("ancestor", "ours", "theirs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("path")
    files = parser.parse_args()
    try:
        with explain_missing("git_merge", "git merge"):
            from lineage.extras.git_merge.driver import drive
    except BadInput as error:  # Git merges the lines; that they fit does not mean that rows do
        warn(str(error))
        subprocess.run(["git", "merge-file", files.ours, files.ancestor, files.theirs])
        sys.exit(1)
    sys.exit(drive(Path.cwd(), **vars(files)))
