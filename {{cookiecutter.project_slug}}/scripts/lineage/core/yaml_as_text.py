"""Read YAML with every value as text: paths, hashes and options, never the values of params."""

from typing import Any, ClassVar

import yaml

FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Twenty times as fast as the reader of params.yaml."""


class AsText(FAST):
    """Read a file named `on`, `1:30` or `010` as it stands, and follow `<<`, as DVC does."""

    yaml_implicit_resolvers: ClassVar = {"<": FAST.yaml_implicit_resolvers["<"]}


def read_as_text(content: bytes) -> Any:
    """Read YAML: `false` is the text `false`, and what is empty is the empty text.

    Raises:
        YAMLError: it is not YAML.
    """
    return yaml.load(content, Loader=AsText)
