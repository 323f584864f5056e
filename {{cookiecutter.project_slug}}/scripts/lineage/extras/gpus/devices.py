"""Find the GPUs of a machine, and share them out among the workers of a sweep."""

import os
import re
import subprocess
from itertools import takewhile
from typing import Any

from lineage.core.errors import BadInput
from lineage.core.params import Sweep

DEVICES = "CUDA_VISIBLE_DEVICES"
"""The variable that names the devices that a process sees: `2,5`, or UUIDs."""

SEEN = re.compile(r"\d|GPU-|MIG-")
"""How a device's name begins; CUDA sees none behind another one, as -1."""


def share_gpus(sweep: Sweep, runs: int, workers: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give each worker a device; those beyond what the devices take are left out.

    Args:
        sweep: says which devices, and how many runs each of them takes at a time.
        runs: how many there are to do. One alone sees all devices.
        workers: their environments.

    Raises:
        BadInput: there are fewer devices than `sweep.gpus`.
    """
    devices = find_devices(sweep.gpus)
    if not devices:
        return workers
    shared = devices * sweep.runs_per_gpu if runs > 1 else [",".join(devices)]
    return [{**worker, DEVICES: device} for worker, device in zip(workers, shared)]


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
