"""What runs on a Dask cluster: runs of the stage `train`, and merges of training data.

`sweep.backend: dask` and `merge.engine: dask` in params.yaml ask for it.

- `cluster.py` connects to a scheduler, or starts a cluster: on this machine, or as batch jobs.
- `sweep.py` hands runs to workers one by one, and writes what comes back where runs leave it.
- `on_worker.py` is what a worker keeps of a project, and starts processes with.
- `run_process.py` is such a process: it does runs as on any machine, and answers with their files.
- `merge.py` has files cut into buckets and each of them merged, and gathers what comes out.
- `buckets.py` is what workers do in a merge; it travels to them by value, with all that it uses.

What may be changed: everything. Security is Dask's own (`distributed.comm.tls` in its
configuration), and so are timeouts, and what batch jobs ask for (`jobqueue`).

The folder promises that nothing listens beyond this machine unless params.yaml names a cluster,
that a run is recorded once and whole, that workers need nothing but the packages of the locks, and
that a merge gives the bytes that it gives on one machine.
"""
