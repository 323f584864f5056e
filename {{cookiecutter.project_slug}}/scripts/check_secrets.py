"""Refuse a commit that holds an AWS key, or any secret in the DVC configuration.

pre-commit runs it on changed files.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from lineage.setup.secrets import REMEDY, find_aws_keys, find_secrets

KEYS = "take it out; keys belong into ~/.aws/credentials or .dvc/config.local"


def find_problems(path: str) -> Iterator[tuple[str, str]]:
    """Find what a file must not hold: each problem without the secret's value, and its remedy."""
    options = find_secrets(Path(path)) if path == ".dvc/config" else []
    for name in options:
        yield f"{path} is committed, and {name} is a secret", REMEDY.format(name)
    if not options:
        for line in find_aws_keys(Path(path)):
            yield f"{path}:{line} holds an AWS key", KEYS


def main(paths: list[str]) -> int:
    """Check the files; print one line for each secret."""
    failed = False
    for path in paths:
        for problem, remedy in find_problems(path):
            print(f"error: {problem}\n  → {remedy}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*")
    sys.exit(main(parser.parse_args().paths))
