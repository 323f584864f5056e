"""The keys `sweep.gpus` and `sweep.runs_per_gpu`: the runs of a sweep share the GPUs of a machine.

- `devices.py` finds the devices, and gives each worker one.

What may be changed: how devices are found and shared out.

The folder promises that a worker sees its device only, that there are no more workers than devices
take, and that a worker which takes the place of another has the same device.
"""
