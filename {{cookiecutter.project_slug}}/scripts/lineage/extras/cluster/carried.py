"""A task of a merge runs on a worker by the code of this project, whatever the worker has of it.

This module travels to the workers by value, and imports nothing of the project.
"""

import pickle
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from distributed import get_worker


def run(arguments: bytes, function: str, code: bytes) -> bytes:
    """Call a function of `buckets` on the worker that this is.

    Args:
        arguments: pickled.
        function: its name.
        code: the package `lineage`, as a zip file.

    Returns:
        what it returned, pickled.
    """
    worker: Any = get_worker()
    archive = f"{worker.local_directory}/{sha256(code).hexdigest()}.zip"
    with vars(worker).setdefault("lineage", Lock()):
        if archive not in sys.path[:1]:  # the first task, or another project was here last
            Path(archive).write_bytes(code)
            sys.path.insert(0, archive)
            for name in list(sys.modules):
                if name.startswith("lineage"):
                    del sys.modules[name]
        buckets = import_module("lineage.extras.cluster.buckets")
    result = getattr(buckets, function)(*pickle.loads(arguments))
    return pickle.dumps(result)
