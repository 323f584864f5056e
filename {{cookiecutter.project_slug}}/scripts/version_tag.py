"""Versions: suggest, tag, push and list them."""

from typing import Annotated, Literal

from typer import Option

from lineage.core.console import Format, new_app

app = new_app("Tag a version from which everything comes back, and list versions.")

Part = Literal["major", "minor", "patch"]
Text = str | None

SUGGEST = Option("--suggest", help="Say which version this should be, and why.")
VERSION = Option(help="Tag this version; it is the one in params.yaml.")
NEXT = Option(help="Tag the next one instead: the number to raise.")
DESCRIPTION = Option(help="Default: experiment.description.")
COMMIT = Option(help="First commit changed tracked files, saying this.")
PUSH = Option("--push", help="Push its DVC objects, then commit and tag.")
LIST = Option("--list", help="List all versions with their metrics.")
FORMAT = Option(help="How to print the list.")


@app.command()
def main(  # noqa: PLR0913 (its options)
    suggest: Annotated[bool, SUGGEST] = False,
    version: Annotated[Text, VERSION] = None,
    next: Annotated[Part | None, NEXT] = None,
    description: Annotated[Text, DESCRIPTION] = None,
    commit: Annotated[Text, COMMIT] = None,
    push: Annotated[bool, PUSH] = False,
    list: Annotated[bool, LIST] = False,
    format: Annotated[Format, FORMAT] = "table",
) -> None:
    """Suggest, tag or list versions: one of --suggest, --version, --next, --list."""
    from lineage.core.errors import BadInput
    from lineage.core.paths import find_root
    from lineage.versions import new_tag, show, tags
    from lineage.versions import push as pushing
    from lineage.versions import suggest as suggesting

    if [suggest, list, version is not None, next is not None].count(True) != 1:
        raise BadInput("give one of --suggest, --version, --next, --list", "version_tag.py --help")
    root = find_root()
    if suggest:
        suggesting.suggest(root, description)
    elif list:
        show.print_versions(root, format)
    else:
        tag = None
        if push and not commit and not description:  # the tag may be there already
            known = {tag.version: tag for tag in tags.tags(root)}
            tag = known.get(version or "")
        tag = tag or new_tag.tag_now(root, version, next, description, commit)
        if push:
            pushing.push(root, tag)


if __name__ == "__main__":
    app()
