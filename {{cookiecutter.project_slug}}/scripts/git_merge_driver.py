"""Git's merge driver, `git_merge_driver.py %O %A %B %P`, as `make setup` configures it."""

import argparse
import sys
from pathlib import Path

from lineage.branches.git_merge_driver import drive

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Git runs to merge a file: see `make setup`.")
    for name in ("ancestor", "ours", "theirs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("path")
    sys.exit(drive(Path.cwd(), **vars(parser.parse_args())))
