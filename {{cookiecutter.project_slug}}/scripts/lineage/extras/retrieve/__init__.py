"""What a version holds comes back: `get`, `checkout`, `worktrees`, `cleanup` of the explorer.

- `commands`: their options.
- `get`: a file or folder of a version, from the cache, the remote, or by its code.
- `checkout`: a whole version as a folder beside the project; which there are; their removal.
- `files_at_commit`: the files of a commit, as Git and DVC store them; the extra `verify` hashes
  them, too.
- `worktree`: a Git worktree in which DVC works, also for an experiment of the extra `worktrees`.

What may be changed: where things are put. Promise: nothing of the working tree changes but what
`--output` with `--force` names; DVC's cache gets objects that only the remote had, and only bytes
that have the recorded hash are handed out.
"""
