#!/bin/sh
# Start an experiment in ../exp-NAME on branch exp/NAME: ./scripts/setup_worktree.sh NAME [shared-cache]
here=$(dirname -- "$0")
PATH=$(cd -- "$here/.." && pwd)/.venv/bin:$PATH exec python3 "$here/worktree.py" "$(basename -- "$0")" "$@"
