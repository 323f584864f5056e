"""Versions: suggest, tag, push and list them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from lineage.cli import DEBUG, Format, guarded, new_app, say

app = new_app("Tag a version from which everything comes back, and list versions.")


class Part(str, Enum):
    major = "major"
    minor = "minor"
    patch = "patch"


@app.command()
def main(
    suggest: Annotated[bool, typer.Option("--suggest", help="Say which version this should be, and why.")] = False,
    version: Annotated[str | None, typer.Option(help="Tag this version; it is the one in params.yaml.")] = None,
    next: Annotated[Part | None, typer.Option(help="Tag the next one instead: the number to raise.")] = None,
    description: Annotated[str | None, typer.Option(help="Default: experiment.description.")] = None,
    commit: Annotated[
        str | None, typer.Option(help="First commit all changes of tracked files, with this message.")
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="Push its DVC objects, then commit and tag.")] = False,
    list: Annotated[bool, typer.Option("--list", help="List all versions with their metrics.")] = False,
    format: Annotated[Format, typer.Option(help="How to print the list.")] = Format.table,
    debug: bool = DEBUG,
) -> None:
    """Suggest, tag or list versions: one of --suggest, --version, --next, --list."""
    from lineage import layout, tagging, versions
    from lineage.errors import BadInput
    from lineage.listing import print_rows

    def work() -> None:
        if sum((suggest, list, version is not None, next is not None)) != 1:
            raise BadInput("give one of --suggest, --version, --next, --list", "version_tag.py --help")
        root = layout.find_root()
        if suggest:
            tagging.suggest(root, description, say)
        elif list:
            print_rows(*tagging.list_tags(root), format.value)
        elif push and version in [tag.version for tag in versions.tags(root)]:
            tagging.push(root, versions.find_tag(root, str(version)), say)
        else:
            tag = tagging.tag_version(root, version, next.value if next else None, description, commit, say)
            if push:
                tagging.push(root, tag, say)

    guarded(work, debug=debug)


if __name__ == "__main__":
    app()
