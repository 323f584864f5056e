"""Refuse a commit that holds an AWS key, or any secret in the DVC configuration. Run by pre-commit on changed files."""

import sys
from pathlib import Path

from lineage.secrets import REMEDY, find_aws_keys, find_secrets


def main(paths: list[str]) -> int:
    """Check the files; print one line for each secret, without its value."""
    failed = False
    for path in paths:
        options = find_secrets(Path(path)) if path == ".dvc/config" else []
        for option in options:
            print(f"error: {path} is committed, and {option} is a secret", file=sys.stderr)
            print(f"  → {REMEDY.format(option=option, path=path)}", file=sys.stderr)
        lines = [] if options else find_aws_keys(Path(path))
        for number in lines:
            print(f"error: {path}:{number} holds an AWS key", file=sys.stderr)
            print("  → take it out; keys belong into ~/.aws/credentials or .dvc/config.local", file=sys.stderr)
        failed |= bool(options or lines)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
