"""The server of `warm_start`: it has imported the libraries, and forks what its clients ask for."""

from __future__ import annotations

import contextlib
import marshal
import os
import selectors
import signal
import socket
import sys

from warm_start import MODULES, TRACKER, client_in, inherited, of_start, receive, start_children_warm

LIBRARIES = (
    "adbc_driver_sqlite.dbapi",
    "cookiecutter.main",
    "duckdb",
    "dvc.analytics",
    "dvc.cachemgr",
    "dvc.cli.parser",
    "dvc.compare",
    "dvc.data_cloud",
    "dvc.dependency",
    "dvc.dvcfile",
    "dvc.lock",
    "dvc.output",
    "dvc.repo",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.graph",
    "dvc.repo.index",
    "dvc.repo.metrics",
    "dvc.repo.open_repo",
    "dvc.repo.params",
    "dvc.repo.plots",
    "dvc.repo.stage",
    "dvc.repo.trie",
    "dvc.rwlock",
    "dvc.scm",
    "dvc.stage.loader",
    "dvc.utils.strictyaml",
    "dvc_data.hashfile.db.local",
    "dvc_data.hashfile.status",
    "dvc_data.index",
    "dvc_objects.fs.local",
    "filelock",
    "fsspec.implementations.local",
    "joblib",
    "joblib.externals.loky",
    "networkx",
    "numpy",
    "pandas",
    "platformdirs",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic.fields",
    "pydantic.functional_validators",
    "pydantic.main",
    "pydantic.type_adapter",
    "pydantic.types",
    "rich.console",
    "rich.progress",
    "rich.table",
    "ruamel.yaml",
    "scmrepo.git",
    "sklearn.datasets",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "skops.io",
    "sqlite3",
    "typer",
    "typer.testing",
    "xetrack",
    "xml.etree.ElementTree",
    "yaml",
)


def serve(path: str) -> None:
    """Import the libraries, and fork a child for each request, until whoever started this process is gone."""
    import gc
    import importlib

    # the driver takes polars along, and polars 2.0 ends a process by waiting for a thread that no fork has
    sys.modules["polars"] = None  # type: ignore[assignment]
    for library in LIBRARIES:
        importlib.import_module(library)
    del sys.modules["polars"]
    start_children_warm(os.path.dirname(path))
    start_workers_warm(os.path.dirname(path))
    gc.freeze()  # children look for garbage among what they make
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    parent = os.getppid()
    watched = selectors.DefaultSelector()
    watched.register(listener, selectors.EVENT_READ)
    while os.getppid() == parent:
        for key, _ in watched.select(timeout=1):
            if key.fileobj is listener:
                begin(watched, listener.accept()[0])
            elif watched.get_map().get(key.fd) is key:  # not gone with its other half, its number given anew
                finish(watched, *key.data)


def start_workers_warm(folder: str) -> None:
    """Have loky, in all that this server forks, start what it starts by the client."""
    from joblib.externals.loky.backend import fork_exec, resource_tracker

    start_worker = fork_exec.fork_exec
    start_tracker = resource_tracker.spawnv_passfds

    def start_worker_warm(command: list[str], *rest: object, **options: object) -> int:
        return start_worker([client_in(folder), *command[1:]], *rest, **options)

    def start_tracker_warm(path: str, command: list[str], streams: list[int]) -> object:
        return start_tracker(client_in(folder), command, streams)

    fork_exec.fork_exec = start_worker_warm
    resource_tracker.spawnv_passfds = start_tracker_warm


def begin(watched: selectors.BaseSelector, connection: socket.socket) -> None:
    """Fork the child that a client asks for, and watch both; or close the connection, and the client starts cold."""
    connection.settimeout(10)  # of a client that is stopped
    streams: list[int] = []
    try:
        head, streams, _, _ = socket.recv_fds(connection, 8, 100)
        request = marshal.loads(receive(connection, int.from_bytes(head, "little")))
        same = of_start(request["environment"]) == of_start(dict(os.environ))
        if same and request["inherited"] == inherited():
            child = os.fork()
            if child == 0:
                for key in [*watched.get_map().values()]:
                    os.close(key.fd)
                watched.close()
                connection.close()
                become(request, streams)
            ended = os.pidfd_open(child)
            for half in (ended, connection):
                watched.register(half, selectors.EVENT_READ, (ended, connection, child))
            connection.sendall(child.to_bytes(8, "little"))
        else:
            connection.close()
    except (OSError, EOFError, ValueError):  # the client was killed
        if connection not in watched.get_map():
            connection.close()
    for stream in streams:
        os.close(stream)


def finish(watched: selectors.BaseSelector, ended: int, connection: socket.socket, child: int) -> None:
    """Tell a client how its child ended; the child of a client that is gone is killed."""
    watched.unregister(ended)
    watched.unregister(connection)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(ended, signal.SIGKILL)  # it has ended, but where the client was killed
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))
    connection.close()
    os.close(ended)


def become(request: dict, streams: list[int]) -> None:
    """Make this process what `python SCRIPT` would be, and run the script."""
    import types

    os.setpgid(0, request["group"])
    put_in_place(streams, request["streams"])
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.getppid = lambda: parent_of(request["client"])
    sys.modules["multiprocessing.process"].ORIGINAL_DIR = request["folder"]
    sys.modules["numpy"].random.seed(None)
    sys.executable = request["executable"] or sys.executable
    script = request["script"]
    beside = request["folder"]
    if script.startswith(TRACKER):
        beside = ""
    elif script not in MODULES:
        script = os.path.abspath(script)
        beside = os.path.dirname(os.path.realpath(script))
    sys.argv = [request["script"], *request["arguments"]]
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[0:1] = [beside, *filter(None, folders)]
    main = types.ModuleType("__main__")
    main.__file__ = script
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    end(run(script, main))


def put_in_place(streams: list[int], numbers: list[int]) -> None:
    """Give the streams that a client sent the numbers that they have there."""
    import fcntl

    moved = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 500) for stream in streams]
    for stream in streams:
        os.close(stream)
    for stream, number in zip(moved, numbers):
        os.dup2(stream, number)
        os.close(stream)


def parent_of(process: int) -> int:
    """Who started a client, and so what it asked for; 1 when that is over."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 1


def run(script: str, main: object) -> int:
    """Run a script, or what loky starts, as Python does; return its exit code."""
    import runpy

    try:
        if script in MODULES:
            runpy._run_module_as_main(script)
            return 0
        if script.startswith(TRACKER):
            exec(script, main.__dict__)
            return 0
        with open(script, "rb") as source:
            code = compile(source.read(), script, "exec", dont_inherit=True)
        exec(code, main.__dict__)
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return (exit.code or 0) & 0xFF
        print(exit.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(code: int) -> None:
    """End this process as Python ends: threads first, then what was registered, then what was printed."""
    import atexit
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except OSError:
            code = code or 120
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
