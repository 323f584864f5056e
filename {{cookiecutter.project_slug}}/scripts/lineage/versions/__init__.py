"""Versions `eX.Y.Z`: tags of Git from which code, data, models and results come back.

- `suggest`: which version the present state should be, why, the text of its tag; start it.
- `compare_data`: what differs between two versions of the data.
- `files_at_commit`: the files of a commit, as Git and DVC store them.
- `new_tag`: make the tag, of a state that is recorded and committed.
- `push`: send what a tag names, so that a colleague can bring it back.

How versions are numbered and what their descriptions say may be changed, in `suggest`. The runs of
a version are found in the room `results`, since the models are chosen by version, too. The
extras `retrieve`, `show`, `verify` and `renumber` bring versions back, show, prove and renumber
them.

Promise: nothing here changes code, data or results of the working tree, but for the version in
params.yaml. `new_tag` commits what is there if it is told to.
"""
