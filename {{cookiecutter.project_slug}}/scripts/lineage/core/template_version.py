"""Name the template, and the commit of it, that the project is of: what `--version` prints.

The Python that runs Git's hooks may have no packages, so this file needs the standard library only.
"""

import json
from pathlib import Path

TEMPLATE = "cookiecutter-lineage 0.2.0"
LINK = Path(__file__).parents[3] / ".cruft.json"
"""Where cookiecutter and `make update` note the commit."""


def template_version() -> str:
    """Write `cookiecutter-lineage 0.2.0 (3f2a9c1)`."""
    if not LINK.is_file():
        return TEMPLATE
    commit = json.loads(LINK.read_text(encoding="utf-8"))["commit"]
    return f"{TEMPLATE} ({commit[:7]})"
