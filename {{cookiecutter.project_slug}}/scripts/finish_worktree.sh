#!/bin/sh
# Check that nothing of an experiment would be lost, then remove it: ./scripts/finish_worktree.sh NAME [--collect]
here=$(dirname -- "$0")
PATH=$(cd -- "$here/.." && pwd)/.venv/bin:$PATH exec python3 "$here/worktree.py" "$(basename -- "$0")" "$@"
