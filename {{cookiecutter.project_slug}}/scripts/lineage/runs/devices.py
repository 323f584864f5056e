"""GPUs: which there are to share out among the workers."""

import os
import re
import subprocess
from itertools import takewhile
from typing import Any

from lineage.core.errors import BadInput

DEVICES = "CUDA_VISIBLE_DEVICES"
"""The variable that names the devices that a process sees: `2,5`, or UUIDs."""

SEEN = re.compile(r"\d|GPU-|MIG-")
"""How a device's name begins; CUDA sees none behind another one, as -1."""


def find_devices(gpus: Any) -> list[str]:
    """Turn `sweep.gpus` into devices, named as in `CUDA_VISIBLE_DEVICES`.

    Where that variable is set, they are the first that it names; elsewhere the first of the
    machine, which is asked how many it has for `auto` only.

    Raises:
        BadInput: the variable names fewer.
    """
    named = os.environ.get(DEVICES)
    if named is not None:
        seen = list(takewhile(SEEN.match, map(str.strip, named.split(","))))
    elif gpus == "auto":
        listed = subprocess.getoutput("nvidia-smi -L")  # an error, where that cannot be run
        seen = re.findall(r"^GPU (\d+):", listed, re.MULTILINE)
    else:
        seen = [str(number) for number in range(gpus)]
    if gpus == "auto":
        return seen
    if len(seen) < gpus:
        raise BadInput(
            f"params.yaml: sweep.gpus: {gpus} is more than {DEVICES} names: {named!r}",
            f"unset {DEVICES}   # or set sweep.gpus: auto",
        )
    return seen[:gpus]
