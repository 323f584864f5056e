"""Versions: suggest, tag, push and list them."""

from typing import Annotated, Literal

from typer import Option

from lineage.core.console import Format, new_app, say

app = new_app("Tag a version from which everything comes back, and list versions.")


Part = Literal["major", "minor", "patch"]


@app.command()
def main(
    suggest: Annotated[
        bool, Option("--suggest", help="Say which version this should be, and why.")
    ] = False,
    version: Annotated[
        str | None, Option(help="Tag this version; it is the one in params.yaml.")
    ] = None,
    next: Annotated[
        Part | None, Option(help="Tag the next one instead: the number to raise.")
    ] = None,
    description: Annotated[str | None, Option(help="Default: experiment.description.")] = None,
    commit: Annotated[
        str | None, Option(help="First commit changed tracked files, saying this.")
    ] = None,
    push: Annotated[
        bool, Option("--push", help="Push its DVC objects, then commit and tag.")
    ] = False,
    list: Annotated[bool, Option("--list", help="List all versions with their metrics.")] = False,
    format: Annotated[Format, Option(help="How to print the list.")] = "table",
) -> None:
    """Suggest, tag or list versions: one of --suggest, --version, --next, --list."""
    from lineage.core import paths
    from lineage.core.errors import BadInput
    from lineage.core.listing import print_rows
    from lineage.versions import tagging
    from lineage.versions import tags as versions

    if sum((suggest, list, version is not None, next is not None)) != 1:
        raise BadInput("give one of --suggest, --version, --next, --list", "version_tag.py --help")
    root = paths.find_root()
    if suggest:
        tagging.suggest(root, description, say)
    elif list:
        print_rows(*tagging.list_tags(root), format)
    elif (
        push
        and not (commit or description)
        and version in [tag.version for tag in versions.tags(root)]
    ):
        tagging.push(root, versions.find_tag(root, str(version)), say)
    else:
        tag = tagging.tag_now(root, version, next, description, commit, say)
        if push:
            tagging.push(root, tag, say)


if __name__ == "__main__":
    app()
