"""Versions `eX.Y.Z`: tags of Git from which code, data, models and results come back.

- `start`: the next number that is free, written into params.yaml.
- `new_tag`: make the tag, of a state that is recorded and committed, and its text: what is special
  about the best run.
- `push`: send what a tag names, so that a colleague can bring it back.

What descriptions say may be changed, in `new_tag.describe`. The runs of a version are found in the
room `results`, since the models are chosen by version, too. The extras `retrieve`, `show`,
`compare`, `verify` and `renumber` bring versions back, show, compare, prove and renumber them;
`compare` suggests the next number.

Promise: nothing here changes code, data or results of the working tree, but for the version in
params.yaml. `new_tag` commits what is there if it is told to.
"""
