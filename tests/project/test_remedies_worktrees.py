"""Remedies around experiments in worktrees, typed in the state in which they are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from baked_projects import Project, copy_project
from remedies import State, go_through

START = "scripts/setup_worktree.sh a"
FINISH = "scripts/finish_worktree.sh a"
NO_COMMIT = "rm -rf .git && git init --quiet --initial-branch=main"
EVERY_CROSS = "do what each ✗ says; --collect does remote, runs, model, data"


HOOK = ".git/hooks/reference-transaction"
STATES = {
    "a branch that exists": State("git branch exp/a", START, "git branch -m exp/a exp/a-old"),
    "a folder that exists": State("mkdir ../exp-a", START, "cd ../exp-a", then=f"cd $OLDPWD && {START}-b"),
    "another cache": State(
        "mkdir ../mine", f"{START} ../mine", "cp -rn PARENT/cache/. PARENT/mine && dvc cache dir --local PARENT/mine"
    ),
    "a name that is no branch": State(
        "",
        "scripts/setup_worktree.sh 'a b'",
        "use letters, digits, - _ . + and /, as in deeper-net or ada/deeper-net",
        "scripts/setup_worktree.sh ada/deeper-net",
        None,
    ),
    "in another worktree": State(
        START, "cd ../exp-a && scripts/setup_worktree.sh b", "cd PROJECT", then="scripts/setup_worktree.sh b"
    ),
    "no commit": State(NO_COMMIT, START, 'git add --all && git commit -m "Start"'),
    "no repository": State("rm -rf .git", START, "make setup"),
    "a branch that another worktree is on": State(
        f"{START} && git worktree add --quiet --force ../other exp/a",
        FINISH,
        "git -C PARENT/other switch --detach && git branch -D exp/a",
        then="! git show-ref exp/a",
    ),
    "a branch that Git writes": State(
        f"{START} && touch .git/refs/heads/exp/a.lock", FINISH, "rm 'PROJECT/.git/refs/heads/exp/a.lock'"
    ),
    "a branch that a hook keeps": State(
        f"""{START} && printf '#!/bin/sh\n! grep -q " 0000000000.* refs/heads/exp/a$"\n' > {HOOK} && chmod +x {HOOK}""",
        FINISH,
        "git branch -D exp/a",
        f"rm {HOOK} && git branch -D exp/a",
        None,
    ),
    "a worktree on no branch": State(
        f"{START} && git -C ../exp-a switch --quiet --detach", FINISH, "cd ../exp-a && git switch exp/a", then=f"cd $OLDPWD && {FINISH}"
    ),
    "a file that nothing would bring back": State(
        f"{START} && touch ../exp-a/.env", FINISH, "cd ../exp-a && mv .env ELSEWHERE", then=f"cd $OLDPWD && {FINISH}"
    ),
    "a file that is not committed": State(
        f"{START} && touch ../exp-a/notes.md",
        FINISH,
        'cd ../exp-a && git add --all && git commit -m "…"',
        then="git show --stat exp/a | grep notes.md",
    ),
    "a stage that did not run": State(
        f"{START} && cd ../exp-a && sed -i 's/  confidence: 0.95/  confidence: 0.90/' params.yaml && git commit --quiet --all -m k",
        FINISH,
        'cd ../exp-a && dvc repro && git commit --all -m "…"',
        then="dvc status --quiet",
    ),
    "objects that the remote lacks": State(f"{START} && rm -rf ../digit-experiments-remote/files", FINISH, "cd ../exp-a && dvc push", then=f"cd $OLDPWD && {FINISH}"),
    "no remote any more": State(
        f"{START} && dvc remote remove storage && rm -rf ../cache/files",
        FINISH,
        "dvc remote add --default storage URL",
        then=f"({FINISH} || true) | grep '✓ remote  has all'",
    ),
    "an index that Git cannot read": State(
        f"{START} && echo x > .git/worktrees/exp-a/index",
        FINISH,
        "cd PARENT/exp-a && git status",
        f"cd ../exp-a && (git status || rm $(git rev-parse --git-dir)/index) && git reset --quiet && cd $OLDPWD && {FINISH}",
        None,
    ),
    "all at once": State(
        f"{START} && git -C ../exp-a switch --quiet --detach && touch ../exp-a/.env",
        FINISH,
        EVERY_CROSS,
        f"cd ../exp-a && git switch --quiet exp/a && mv .env .. && cd $OLDPWD && {FINISH}",
        None,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sent_original(tagged_original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """As `tagged_original`, and the remote has all of it."""
    project = copy_project(tagged_original, tmp_path_factory.mktemp("sent"))
    project.dvc("push")
    return project


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_a_remedy_around_worktrees_works(state: str, sent_original: Project, tmp_path: Path) -> None:
    go_through(copy_project(sent_original, tmp_path), STATES[state])
