"""Make a project ready to work in; the extra `doctor` says what is wrong with it.

- `project`: the steps of `make setup`, which also finish a fresh bake.
- `shared_cache`: the machine's cache, and how data is linked to it.
- `check_remote`: whether the remote can be used; one on S3 is asked by the extra `s3`.
- `secrets`: what must not be committed.

To change: add a step to `run_setup` in `project`, the name of a secret option to `secrets`;
`link_types` in `shared_cache` says how data is linked to the cache.

Promises: every step can be run again and keeps what it finds; ✓ is only said of what was looked at;
a failed step names the command that helps. A fresh project is set up without DVC and network, by
whatever Python cookiecutter runs in.
"""
