"""Models changed by hand: `model_manager.py promote`, `add-candidate`, `prune`.

- `commands`: their options.
- `change_models`: the three, and how `dvc.lock` gets to know of them.

What may be changed: words. What better means, and what may be dropped, is decided in `models`.

Promise: no model is overwritten or dropped unless its bytes can be brought back.
"""
