"""Refuse a commit that holds an AWS key, or any secret in the DVC configuration.

pre-commit runs it on changed files.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from lineage.setup.secrets import REMEDY, find_aws_keys, find_secrets

KEYS = "take it out; keys belong into ~/.aws/credentials or .dvc/config.local"


def find_problems(path: str) -> Iterator[str]:
    """Find what a file must not hold: one message for each secret, without its value."""
    options = find_secrets(Path(path)) if path == ".dvc/config" else []
    for name in options:
        yield f"error: {path} is committed, and {name} is a secret\n  → {REMEDY.format(name)}"
    if not options:
        for line in find_aws_keys(Path(path)):
            yield f"error: {path}:{line} holds an AWS key\n  → {KEYS}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*")
    found: list[str] = []
    for path in parser.parse_args().paths:
        found += find_problems(path)
    if found:
        sys.exit("\n".join(found))
