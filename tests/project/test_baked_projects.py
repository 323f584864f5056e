"""The harness says of a command what a reader of a log has to know."""

from __future__ import annotations

from pathlib import Path

import baked_projects
import pytest
from baked_projects import Project, clean_environment


def test_a_command_that_hangs_is_named_with_what_it_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baked_projects, "LONGEST", 1.0)
    project = Project(tmp_path, clean_environment(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"^sh -c .* has not ended\n--- stdout\nbegun\n\n--- stderr\n$"):
        project.run("sh", "-c", "echo begun; exec sleep 30")


def test_a_command_that_ends_otherwise_than_expected_is_named_with_what_it_printed(tmp_path: Path) -> None:
    project = Project(tmp_path, clean_environment(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"ended with 3, not 0\n--- stdout\n\n--- stderr\nwhy\n$"):
        project.run("sh", "-c", "echo why >&2; exit 3")
