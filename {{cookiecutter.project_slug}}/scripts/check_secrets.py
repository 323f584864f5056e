"""Refuse a commit that holds an AWS key, or any secret in the DVC configuration. Run by pre-commit on changed files."""

import sys
from pathlib import Path

from lineage.setup.secrets import REMEDY, find_aws_keys, find_secrets

KEYS = "take it out; keys belong into ~/.aws/credentials or .dvc/config.local"


def main(paths: list[str]) -> int:
    """Check the files; print one line for each secret, without its value."""
    failed = False
    for path in paths:
        options = find_secrets(Path(path)) if path == ".dvc/config" else []
        found = [
            (f" is committed, and {name} is a secret", REMEDY.format(option=name, path=path))
            for name in options
        ]
        for problem, remedy in found or [
            (f":{line} holds an AWS key", KEYS) for line in find_aws_keys(Path(path))
        ]:
            print(f"error: {path}{problem}\n  → {remedy}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
