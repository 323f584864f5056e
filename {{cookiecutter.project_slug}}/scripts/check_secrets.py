"""Refuse a commit whose DVC configuration holds a secret. Run by pre-commit with the files as arguments."""

from __future__ import annotations

import sys
from pathlib import Path

from lineage.secrets import find_secrets


def main(paths: list[str]) -> int:
    """Check the files; print one line for each that holds a secret."""
    failed = False
    for path in paths:
        for option in find_secrets(Path(path)):
            failed = True
            name = option.rpartition(".")[2]
            print(f"error: {path} is committed, and {option} is a secret", file=sys.stderr)
            print(f"  → dvc remote modify --local storage {name} …   # and take it out of {path}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
