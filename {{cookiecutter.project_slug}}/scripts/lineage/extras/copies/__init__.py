"""Databases that began as copies of ours: a colleague's, a worktree's, an edited one.

- `origin` finds the recorded version that a copy began as.
- `rows` takes the rows that it had from there out of a merge: a copy never takes newer rows of ours
  back.

What may be changed: how far back is looked. Promise: what is found does not depend on what a copy
is called.
"""
