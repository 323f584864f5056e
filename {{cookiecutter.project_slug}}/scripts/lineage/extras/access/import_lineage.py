"""Let `import lineage` work in any folder: `make setup` copies this file into the environment.

So `import lineage` works in every folder of a project, also in a notebook. The file is the same for
all projects: whoever imports it gets the package of the project around the current folder. So one
environment can serve several projects, and a worktree gets its own package from main's environment.
"""

import sys
from importlib import import_module
from pathlib import Path

for folder in (Path.cwd() / "here").parents:
    scripts = folder / "scripts"
    if (scripts / "lineage/__init__.py").is_file():
        del sys.modules["lineage"]
        sys.path.insert(0, str(scripts))
        import_module("lineage")
        sys.path.remove(str(scripts))
        break
else:
    problem = f"{Path.cwd()} is not inside a project, which has the package lineage"
    raise ModuleNotFoundError(f"{problem}\n  → cd into the project", name="lineage")
