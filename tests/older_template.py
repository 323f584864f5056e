"""The template as it was: of the commit at which updating began to be tested, in a Git repository of its own.

Where Git has that commit no more (a shallow clone, a copy without history), today's template stands for it. Some keys are
taken out of either, so that there are new ones in any case.
"""

from __future__ import annotations

import re
from pathlib import Path

from baked_projects import TEMPLATE, Project

START = "bff158ef5197e42808d0ee05d73fcca0de976e88"
SLUG = "{{cookiecutter.project_slug}}"
KEYS = {
    "params.yaml": (r"validation:.*\n(?:  .*\n)*\n", r"  data_layout:.*\n", r"  confidence:.*\n", r"    seed: 0\n"),
    "dvc.yaml": (r"      - validation\n", r"      - merge\.data_layout\n"),
}
"""What did not stand in these files when they were older."""

ADDED = [
    "sweep.search.seed",
    *("validation.fraction", "validation.by", "validation.after"),
    *("merge.data_layout", "promote.confidence"),
]
"""The keys that an update adds then, at least."""


def make_older_template(folder: Path, environment: dict[str, str]) -> Project:
    """Make a repository whose first commit is the older template."""
    template = Project(folder, environment)
    folder.mkdir()
    here = Project(TEMPLATE, environment)
    if START in here.git("rev-list", "HEAD").split():
        archive = str(folder.parent / "older.tar")
        here.git("archive", "--output", archive, START)
        template.run("tar", "-xf", archive)
    else:
        copy_today(template)
    for name, patterns in KEYS.items():
        path = folder / SLUG / name
        text = path.read_text(encoding="utf-8")
        for pattern in patterns:
            text, found = re.subn(f"^{pattern}", "", text, flags=re.MULTILINE)
            assert found == 1, f"{name}: {pattern}"
        path.write_text(text, encoding="utf-8")
    template.git("init", "--quiet")
    save(template, "older")
    return template


def copy_today(template: Project) -> None:
    """Write the template as it lies here over what is in a repository."""
    for path in template.path.iterdir():
        if path.name != ".git":
            template.run("rm", "-r", path.name)
    here = Project(TEMPLATE, template.environment)
    names = here.run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, names):
        if (TEMPLATE / name).is_file():
            (template.path / name).parent.mkdir(parents=True, exist_ok=True)
            (template.path / name).write_bytes((TEMPLATE / name).read_bytes())


def save(template: Project, message: str) -> str:
    """Commit all, also what is ignored on this machine; return the commit."""
    template.git("add", "--all", "--force")
    template.git("commit", "--quiet", "--message", message)
    return template.git("rev-parse", "--short=7", "HEAD")
