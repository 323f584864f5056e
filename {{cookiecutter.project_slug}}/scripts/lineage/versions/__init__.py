"""Versions `eX.Y.Z`: tags of Git from which code, data, models and results come back.

- `files_at_commit`: the files of a commit, as Git and DVC store them.
- `suggest`: which version the present state should be, why, the text of its tag; start it.
- `new_tag`: make the tag, of a state that is recorded and committed.
- `renumber`: give runs another version when theirs is taken, and tag it.
- `push`: send what a tag names, so that a colleague can bring it back.
- `show`: print the list of versions, one version, or what differs between two; `compare_files`
  compares their parquet files.
- `get`: bring a file or folder of a version back.
- `checkout`: a version as a folder beside the project.
- `verify`: whether all that a version names is there and fits; `verify_code` does it for what ran.

How versions are numbered and what their descriptions say may be changed, in `suggest`. The runs of
a version are found in the room `results`, since the models are chosen by version, too.

Promise: nothing here changes code, data or results of the working tree, but for the version in
params.yaml and, by `renumber`, in the rows of the newest runs. `new_tag` commits what is there if
it is told to; `get` and `checkout` write beside it, and hand out only bytes that have the recorded
hash.
"""
