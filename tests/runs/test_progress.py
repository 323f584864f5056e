"""How a sweep goes is seen on a narrow terminal, too, and what all runs share is said once."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from baked_projects import SOURCE

from lineage.core.errors import Refused
from lineage.runs.run import Facts, Outcome, Run
from lineage.runs.sweep import _line, check_failures

SHOW = """
import sys
from pathlib import Path
from lineage.core.params import Promote
from lineage.runs.run import Facts, Outcome, Run
from lineage.runs.sweep import show_progress
folder = Path("results/unfinished/x.y")
folder.mkdir(parents=True)
(folder / "events.csv").write_text("anew\\ntimestamp,step,loss,another_long_name\\n1.0,3,0.333333,0.5\\n")
promote = Promote(strategy="merge", metric="f1_score", mode="max", min_improvement=0.0, keep=1)
runs = [Run(f"20260101T120000-0a1b2c{n:02}", {"model.C": n}, {}, {}, Facts(version="e0.1.0")) for n in range(100)]
with show_progress(Path.cwd(), 100, range(16), promote) as show:
    for number in range(1, 100):
        show([Outcome(run, {"f1_score": 0.5}) for run in runs[:number]])
"""


def shown(folder: Path, columns: int, scripts: Path = SOURCE / "scripts") -> str:
    """What a terminal of some width shows."""
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": str(scripts)}
    running = subprocess.Popen([sys.executable, "-c", SHOW], cwd=folder, env=environment, stdout=terminal)
    os.close(terminal)
    text = b""
    try:
        while part := os.read(main, 65536):
            text += part
    except OSError:
        pass
    assert running.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode())


def test_sixty_columns_keep_counts_and_time(tmp_path: Path) -> None:
    lines = re.findall(r"\d+/100 done [^…]*…", shown(tmp_path, 60))
    assert re.match(r"99/100 done  1 running  0 failed  time left \d:\d\d:\d\d best f1.*…", lines[-1])
    assert len(lines[-1]) <= 60


def test_a_wide_terminal_shows_what_was_logged_last_unless_its_extra_is_not_here(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(SOURCE / "scripts", scripts, ignore=shutil.ignore_patterns("tracking"))
    for folder in ("with", "without"):
        (tmp_path / folder).mkdir()
    assert "best f1_score 0.5000  step=3, loss=0.333333, another_long_name=0.5" in shown(tmp_path / "with", 160)
    lines = shown(tmp_path / "without", 160, scripts)
    assert "best f1_score 0.5000" in lines and "loss" not in lines


def outcomes(*errors: str | None) -> list[Outcome]:
    runs = [
        Run(f"run-{n}", {"model.C": n, "model.tree.depth": 3}, {}, {}, Facts(version="e0.1.0"))
        for n in range(len(errors))
    ]
    return [Outcome(run, {} if error else {"f1_score": 0.5}, error) for run, error in zip(runs, errors, strict=True)]


def failure(*errors: str | None, on_error: str = "fail") -> str:
    found = outcomes(*errors)
    params = SimpleNamespace(sweep=SimpleNamespace(on_error=on_error))
    plan: Any = SimpleNamespace(outcomes=found, runs=dict(enumerate(found)), params=params)
    with pytest.raises(Refused) as caught:
        check_failures(plan)
    return caught.value.problem


def test_lines_of_a_sweep_say_the_point_and_an_error_once() -> None:
    found = outcomes(None, "ValueError: no", "ValueError: no", "KeyError: 'x'")
    assert [_line(found[: number + 1]) for number in range(4)] == [
        "run-0 model.C=0, model.tree.depth=3 f1_score=0.5000",
        "run-1 model.C=1, model.tree.depth=3 failed: ValueError: no",
        "run-2 model.C=2, model.tree.depth=3 failed: as before",
        "run-3 model.C=3, model.tree.depth=3 failed: KeyError: 'x'",
    ]


def test_an_error_that_all_runs_share_is_shown_once() -> None:
    assert failure(*["ValueError: no"] * 40, on_error="keep") == "40 of 40 runs failed: ValueError: no"
    assert failure("ValueError: no") == "1 of 1 runs failed: ValueError: no"
    assert failure("ValueError: a", None, "ValueError: b").splitlines() == [
        "2 of 3 runs failed:",
        "  run-0  model.C=0, model.tree.depth=3: ValueError: a",
        "  run-2  model.C=2, model.tree.depth=3: ValueError: b",
    ]
    assert failure("ValueError: a", "ValueError: a", None).count("ValueError") == 2, "which points it are is told"
    assert failure(*map(str, range(22))).endswith("\n  … and 2 more")
