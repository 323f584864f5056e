"""What DVC has recorded: `dvc.lock`, `.dvc` files, the cache, and hashes as DVC computes them."""

from pathlib import Path, PurePosixPath

import yaml

from lineage.core.errors import BadInput
from lineage.core.paths import PIPELINE, PIPELINE_LOCK
from lineage.tracked.git import git, git_bytes


def recorded_outputs(
    root: Path, revision: str | None = None, *, pushed: bool = False
) -> dict[str, str]:
    """Map every cached output that `.dvc` files and `dvc.lock` name (POSIX path relative to `root`) to its hash.

    Args:
        root: the project's root.
        revision: a commit or tag; None: the working tree.
        pushed: without those that are marked `push: false`.
    Raises:
        BadInput: a file cannot be read (a merge conflict, for example).
    """
    if revision is None:
        listed = git(
            root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "*.dvc"
        )
    else:
        listed = git(root, "ls-tree", "-r", "-z", "--name-only", revision, "--", ".")
    pointers = sorted(name for name in (listed or "").split("\0") if name.endswith(".dvc"))
    outputs: dict[str, str] = {}
    for name in [*pointers, PIPELINE_LOCK]:
        outputs |= _outputs_of(root, name, revision, pushed)
    kept_in_git = _declared_not(root, revision, "cache")  # DVC holds their hash only
    for path in [*kept_in_git, *(_declared_not(root, revision, "push") if pushed else [])]:
        outputs.pop(path, None)
    return outputs


def recorded_md5(root: Path, path: str, revision: str | None = None) -> str | None:
    """Look one output up in `dvc.lock`, then in its own `.dvc` file; arguments and errors as in `recorded_outputs`."""
    for name in (PIPELINE_LOCK, f"{path}.dvc"):
        if md5 := _outputs_of(root, name, revision).get(path):
            return md5
    return None


def _outputs_of(
    root: Path, name: str, revision: str | None, pushed: bool = False
) -> dict[str, str]:
    """The outputs that one `dvc.lock` or `.dvc` file names, and their hashes."""
    content, folder = _read_yaml(root, name, revision), PurePosixPath(name).parent
    try:
        stages = [content] if name.endswith(".dvc") else (content.get("stages") or {}).values()
        found = [output for stage in stages for output in stage.get("outs") or []]
        found = [output for output in found if not (pushed and output.get("push") is False)]
        return {
            (folder / output["path"]).as_posix(): output["md5"]
            for output in found
            if output.get("md5")
        }
    except (AttributeError, TypeError, KeyError):
        where = f"{revision}:{name}" if revision else name
        raise BadInput(
            f"{where} is not what DVC writes", f"git log -- {name}   # says who changed it"
        ) from None


def _declared_not(root: Path, revision: str | None, name: str) -> list[str]:
    """Outputs that `dvc.yaml` declares with an option set to false."""
    stages = (_read_yaml(root, PIPELINE, revision).get("stages") or {}).values()
    declared = [
        entry
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind) or []
    ]
    options = [item for entry in declared if isinstance(entry, dict) for item in entry.items()]
    return [path for path, option in options if (option or {}).get(name) is False]


def _read_yaml(root: Path, name: str, revision: str | None) -> dict:
    try:
        data = (
            git_bytes(root, "show", f"{revision}:./{name}")
            if revision
            else (root / name).read_bytes()
        )
        return yaml.load(data or b"", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where, remedy = (
            (f"{revision}:{name}", None) if revision else (name, f"git checkout -- {name}")
        )
        raise BadInput(f"{where} cannot be read: {' '.join(str(error).split())}", remedy) from None
