"""The remote, looked at: does it answer, do the credentials fit. A folder is made if missing."""

import os
import re
from pathlib import Path

from lineage.core.check_result import Step, done, skipped
from lineage.core.errors import BadInput, Refused, explain_missing
from lineage.tracked.cache import dvc_config
from lineage.tracked.git import git


def make_remote(root: Path) -> Step:
    """Make the folder of a fresh project's remote, without DVC; other kinds are not looked at.

    Raises:
        Refused: the folder cannot be made.
    """
    config = root / ".dvc/config"
    [url] = re.findall(r'^ *url = "(.*)"$', config.read_text(encoding="utf-8"), re.MULTILINE)
    if "://" in url:
        return skipped("remote", f"{url} is not looked at yet", "make setup   # with credentials")
    folder = os.path.normpath(config.parent / Path(url).expanduser())
    make_folder(folder, "dvc remote modify storage url FOLDER && make setup")
    return done("remote", f"{folder} (a folder)")


def check_remote(root: Path, profile: str | None = None) -> Step:
    """Ask the default remote whether it can be used.

    Args:
        root: the project's root.
        profile: an AWS profile, which is kept in `.dvc/config.local` if it works.

    Raises:
        BadInput: the configuration does not fit; or an S3 remote, and its extra is not here.
        Refused: the remote cannot be used.
    """
    config = dvc_config(root)
    name = config["core"].get("remote")
    if name is None:
        return skipped(
            "remote",
            "none configured: nothing leaves this machine",
            "dvc remote add --default storage URL",
        )
    if name not in config["remote"]:
        raise BadInput(f"{name} is the default but has no URL", f"dvc remote add {name} URL")
    url = config["remote"][name]["url"]
    if url.startswith("s3://"):
        with explain_missing("s3", url):
            from lineage.extras.s3.ask import ask_s3
        return ask_s3(config, name, profile)
    if profile:
        raise BadInput(f"an AWS profile does not fit {url}", "make setup   # without PROFILE")
    if "://" in url:
        return skipped("remote", f"{url} (not checked)")
    remedy = f"dvc remote modify --local {name} url FOLDER && make setup"
    if not Path(url).exists() and not (root / "data/incoming").exists():  # a clone without data
        raise Refused(f"{url} does not exist here", remedy)
    make_folder(url, remedy)
    return done("remote", f"{url} (a folder)")


def make_folder(folder: str, remedy: str) -> None:
    """Make a folder, unless it is there. Where it lies in a Git repository, that ignores it.

    Raises:
        Refused: it cannot be made.
    """
    place = Path(folder)
    try:
        if not place.is_dir():
            place.mkdir(parents=True)
            if git(place, "rev-parse", "--git-dir"):  # as the remote beside a project in a monorepo
                (place / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}", remedy) from None
