"""Versions, one option each: --suggest, --start, --version, --next, --renumber, --list, --show."""

from pathlib import Path
from typing import Annotated

from lineage.core.console import Argument, Form, Option, new_app
from lineage.core.errors import BadInput
from lineage.core.extra_commands import from_extra
from lineage.core.paths import find_root
from lineage.core.version_numbers import Part

app = new_app("Tag a version from which everything comes back, and list versions.")

Text = str | None

PART = Argument(help="What --start, --next or --renumber raise. Default: as --suggest says.")
SUGGEST = Option("--suggest", "--dry-run", help="Say which version this should be, and why.")
SHOW = Option(help="Show what a version holds, as experiment_explorer.py show does.")
START = Option("--start", help="Write the next free version into params.yaml, for new runs.")
RENUMBER = Option("--renumber", help="Give runs whose version is taken the next free one; tag it.")
ONE = "give one of --suggest, --start, --version, --next, --renumber, --list, --show"


@app.command()
def main(  # noqa: PLR0913 (its options)
    part: Annotated[Part | None, PART] = None,
    suggest: Annotated[bool, SUGGEST] = False,
    start: Annotated[bool, START] = False,
    version: Annotated[Text, Option(help="Tag this version; it is the one in params.yaml.")] = None,
    next: Annotated[bool, Option("--next", help="Tag the next one instead.")] = False,
    renumber: Annotated[bool, RENUMBER] = False,
    description: Annotated[Text, Option(help="Default: experiment.description.")] = None,
    commit: Annotated[Text, Option(help="First commit changed tracked files, saying this.")] = None,
    push: Annotated[
        bool, Option("--push", help="Push its DVC objects, then commit and tag.")
    ] = False,
    list: Annotated[bool, Option("--list", help="List all versions with their metrics.")] = False,
    show: Annotated[Text, SHOW] = None,
    format: Form = "table",
) -> None:
    """Suggest, start, tag, renumber, list or show versions: exactly one of these options."""
    chosen = [suggest, start, next, renumber, list, bool(show), bool(version) and not suggest]
    if chosen.count(True) != 1 or (part and (suggest or list or show or version)):
        raise BadInput(ONE, "python scripts/version_tag.py --help")
    root = find_root()
    if suggest:
        from_extra("compare.suggest", "version_tag.py --suggest").suggest_version(root, description)
    elif start:
        _start(root, part)
    elif list:
        from_extra("show.versions", "version_tag.py --list").print_versions(root, format)
    elif show:
        from_extra("show.versions", "version_tag.py --show").print_version(root, show, None, format)
    else:
        _tag(root, version, part, (description, commit), renumber, push)


def _start(root: Path, part: Part | None) -> None:
    """Start the next version that is free: by the number to raise, or as --suggest says."""
    from lineage.versions.start import next_version, start_version

    if part:
        version = next_version(root, part)
    else:
        unnamed = "version_tag.py --start without patch, minor or major"
        version = from_extra("compare.suggest", unnamed).suggested_version(root)
    start_version(root, version)


def _tag(
    root: Path,
    version: Text,
    part: Part | None,
    words: tuple[Text, Text],
    renumber: bool,
    push: bool,
) -> None:
    """Tag, with description and message of the commit, and push; a tag that is there is pushed."""
    from lineage.tracked.version_tags import tags
    from lineage.versions.new_tag import tag_now
    from lineage.versions.push import push_tag

    tag = None
    if renumber:
        renumbering = from_extra("renumber.renumber", "version_tag.py --renumber")
        tag = renumbering.renumber_runs(root, part, *words)
    elif push and not any(words):
        tag = tags(root).get(version or "")
    tag = tag or tag_now(root, version, part, *words)
    if push:
        push_tag(root, tag)


if __name__ == "__main__":
    app()
