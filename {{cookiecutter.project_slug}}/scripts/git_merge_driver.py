"""Git's merge driver, `git_merge_driver.py %O %A %B %P`, as `make setup` configures it."""

import argparse
import subprocess
import sys
from pathlib import Path

from lineage.core.console import needs_extra

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Git runs to merge a file: see `make setup`.")
    for name in ("ancestor", "ours", "theirs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("path")
    files = parser.parse_args()
    try:
        with needs_extra("git_merge"):
            from lineage.extras.git_merge.driver import drive
    except SystemExit:  # without it, Git merges lines
        subprocess.run(["git", "merge-file", files.ours, files.ancestor, files.theirs])
        raise
    sys.exit(drive(Path.cwd(), **vars(files)))
