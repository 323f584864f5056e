"""Git's merge driver, `git_merge_driver.py %O %A %B %P`, as `make setup` configures it."""

import argparse
import subprocess
import sys
from pathlib import Path

from lineage.core.console import warn
from lineage.core.errors import BadInput
from lineage.core.extra_commands import from_extra

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Git runs to merge a file: see `make setup`.")
    parser.add_argument("files", nargs=4, help="ancestor, ours, theirs, and the name of the file")
    ancestor, ours, theirs, path = parser.parse_args().files
    try:
        drive = from_extra("git_merge.driver", "git merge").drive
    except BadInput as error:  # Git merges the lines; that they fit does not mean that rows do
        warn(str(error))
        subprocess.run(["git", "merge-file", ours, ancestor, theirs])
        sys.exit(1)
    sys.exit(drive(Path.cwd(), Path(ancestor), Path(ours), Path(theirs), path))
