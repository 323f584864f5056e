"""What every command has: --version, --quiet, --verbose, completion, progress on a terminal, colours as asked for."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baked_projects import SOURCE, TEMPLATE, Project
from test_habits import SCRIPTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BARE = {"PYTHONPATH": str(SOURCE / "scripts"), "PYTHONDONTWRITEBYTECODE": "1"}
"""Of a Python that keeps nothing compiled in the template, which would be baked into projects."""

BY_GIT = ("git_merge_driver.py",)
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?[39][0-7](?:;[0-9;]*)?m")


def on_terminal(*command: str, **environment: str) -> str:
    """What a command prints to a terminal that is 120 columns wide."""
    reader, terminal = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_COLOR")}
    variables |= {"PYTHONPATH": str(SOURCE / "scripts"), "TERM": "xterm-256color", "COLUMNS": "120", **environment}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=variables)
    os.close(terminal)
    printed = b""
    while True:
        try:
            read = os.read(reader, 4096)
        except OSError:
            break
        if not read:
            break
        printed += read
    os.close(reader)
    assert process.wait() == 0, printed
    return printed.decode()


@pytest.mark.slow
def test_every_command_names_the_template_and_its_commit(baked: Project) -> None:
    about = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commit = json.loads((baked.path / ".cruft.json").read_text())["commit"][:7]
    assert about["name"] == "cookiecutter-lineage"
    for name in (name for name in SCRIPTS if name not in BY_GIT):
        said = baked.run("python", f"scripts/{name}", "--version", cwd=baked.path.parent / baked.path.name).stdout
        assert said == f"cookiecutter-lineage {about['version']} ({commit})\n", name
    assert (TEMPLATE / "README.md").read_text(encoding="utf-8").startswith("# cookiecutter-lineage\n")
    assert baked.git("log", "--format=%s") == "Start from cookiecutter-lineage"


@pytest.mark.slow
def test_quiet_leaves_results_and_verbose_shows_each_step(fresh: Project) -> None:
    assert fresh.run("python", "scripts/merge_data.py", "--quiet").stdout == ""
    loud = fresh.run("python", "scripts/merge_data.py", "--verbose")
    assert loud.stdout.startswith("merge data/train.parquet: +0 ~0 =0 !0; 0 new files, 1 already merged; 537 rows now")
    steps = loud.stderr.splitlines()
    assert steps and all(step.startswith("+ ") for step in steps)
    assert any("FROM read_parquet(" in step for step in steps), "SQL of DuckDB"
    listed = fresh.run("python", "scripts/version_tag.py", "--list", LINEAGE_VERBOSE="1")
    assert "+ git for-each-ref " in listed.stderr, "commands"
    files = ("--base-data", "data/train.parquet", "--exp-data", "examples/batches/batch_002.parquet")
    words = ("--strategy", "merge", *files, "--output-data", "out.parquet", "--key-columns", "id", "--quiet")
    result = fresh.run("python", "scripts/merge_artifacts.py", *words, "--dry-run").stdout
    assert result.startswith("merge out.parquet: +450 ~0 =0 !0\n") and "recommended — " in result
    said = fresh.run("python", "scripts/merge_artifacts.py", *words, "--format", "json").stdout
    assert json.loads(said)["plans"][0]["added"] == 450
    refused = fresh.run("python", "scripts/version_tag.py", "--list", "--next", "--quiet", code=2)
    assert refused.stderr.startswith("error: give one of"), "errors are never quiet"
    found = fresh.run("python", "scripts/doctor.py", "--quiet", code=1).stdout
    assert "✓" not in found and "– history" in found


def test_verbose_shows_sql_of_sqlite(tmp_path: Path) -> None:
    """Also what other packages do, such as xetrack."""
    code = (
        "from lineage.extras.verbose.steps import show_steps\nimport sqlite3\nshow_steps()\n"
        "connection = sqlite3.connect(':memory:')\nconnection.execute('SELECT\\n  ?', [7])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=BARE, capture_output=True, text=True)
    assert done.stderr in ("+ SELECT 7\n", "+ SELECT ?\n"), "SQLite fills values in from Python 3.11 on"


WORK = """
import time
from lineage.core import console
console.QUIET_SECONDS = 0
with console.progress("verifying", 4) as show:
    for step in range(4):
        show(step)
        time.sleep(0.4)
console.say("done", is_result=True)
"""


@pytest.mark.slow
def test_a_terminal_shows_progress_with_the_time_left() -> None:
    shown = on_terminal(sys.executable, "-c", WORK)
    assert "verifying" in shown and "3/4" in shown and "time left" in shown
    assert re.search(r"time left\D*(?:\x1b\[[0-9;]*m)?0:00:0\d", shown), shown
    assert COLOUR.search(shown)
    plain = on_terminal(sys.executable, "-c", WORK, NO_COLOR="1")
    assert "3/4" in plain and not COLOUR.search(plain)
    assert on_terminal(sys.executable, "-c", WORK, LINEAGE_QUIET="1") == "done\r\n"
    for forced in ({}, {"FORCE_COLOR": "1"}):
        environment = {**BARE, **forced}
        piped = subprocess.run([sys.executable, "-c", WORK], env=environment, capture_output=True, text=True)
        assert (piped.stdout, piped.stderr) == ("done\n", ""), "nothing moves where nobody looks"


COMPLETED = {
    "scripts/version_tag.py --s": "--suggest --start --show",
    "scripts/experiment_explorer.py ver": "verify",
    "scripts/merge_artifacts.py --strategy ''": "merge rebase",
    "scripts/model_manager.py promote --mo": "--mode",
    "elsewhere.py --s": "",
}


@pytest.mark.parametrize(("typed", "offered"), COMPLETED.items(), ids=COMPLETED)
def test_bash_completes_what_is_typed(typed: str, offered: str) -> None:
    code = (
        f"source docs/completion.sh; COMP_WORDS=(python {typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));"
        ' _lineage; echo "${COMPREPLY[*]}"; complete -p python'
    )
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", code], cwd=SOURCE, env={**BARE, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{offered}\ncomplete -o default -F _lineage python\n", done.stderr
