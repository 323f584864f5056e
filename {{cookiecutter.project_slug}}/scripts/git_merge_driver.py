"""Git's merge driver, `git_merge_driver.py %O %A %B %P`, as `make setup` configures it."""

import sys
from pathlib import Path

from lineage.branches.git_merge_driver import drive

if __name__ == "__main__":
    ancestor, ours, theirs, path = sys.argv[1:]
    sys.exit(drive(Path.cwd(), Path(ancestor), Path(ours), Path(theirs), path))
