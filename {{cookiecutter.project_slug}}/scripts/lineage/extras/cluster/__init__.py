"""What runs on a Dask cluster: the runs of the stage `train` (`sweep.backend: dask`).

- `cluster.py` connects to a scheduler, or starts a cluster: on this machine, or as batch jobs.

What may be changed: everything. Security is Dask's own (`distributed.comm.tls` in its
configuration), and so are timeouts, and what batch jobs ask for (`jobqueue`).

The folder promises that nothing listens beyond this machine unless params.yaml names a cluster.
"""
