"""Make this folder ready to work in: after baking, and in every fresh clone. Safe to run again.

Only the standard library is imported at the top: the Python that runs cookiecutter may have nothing
else.
"""

import argparse
import sys
from pathlib import Path

from lineage.core.template_version import template_version
from lineage.setup.project import run_setup


def main() -> bool:
    """Run the steps, print one line for each, and tell whether one failed."""
    parser = argparse.ArgumentParser(
        description="Set up all but the environment: Git, DVC cache, remote, hooks, data."
    )
    parser.add_argument("--version", action="version", version=template_version())
    parser.add_argument(
        "--first", action="store_true", help="freshly baked: no network, no hooks, one first commit"
    )
    parser.add_argument(
        "--cache-dir",
        help="folder of the shared DVC cache; default: [tool.lineage] in pyproject.toml",
    )
    parser.add_argument(
        "--profile", help="AWS profile for the S3 remote, kept in .dvc/config.local"
    )
    parser.add_argument(
        "--author", default="", help="'Name <mail>' for the first commit when Git knows nobody"
    )
    options = parser.parse_args()
    failed = False
    for step in run_setup(Path(__file__).resolve().parents[1], **vars(options)):
        print(step.line(), flush=True)
        failed |= step.failed
    return failed and not options.first


if __name__ == "__main__":
    sys.exit(main())
