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
    is_auto = gpus == "auto"
    if named is None:
        count = _count_devices() if is_auto else gpus
        return [str(number) for number in range(count)]
    seen = list(takewhile(SEEN.match, map(str.strip, named.split(","))))
    if not is_auto and len(seen) < gpus:
        problem = f"params.yaml: sweep.gpus: {gpus} is more than {DEVICES} names: {named!r}"
        raise BadInput(problem, f"unset {DEVICES}   # or set sweep.gpus: auto")
    return seen if is_auto else seen[:gpus]


def _count_devices() -> int:
    """Ask `nvidia-smi` how many devices there are: none, where that cannot be run."""
    listed = subprocess.getoutput("nvidia-smi -L")
    return len(re.findall("^GPU ", listed, re.MULTILINE))
