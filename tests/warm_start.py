"""Starting Python warm: a server that has imported the libraries forks what `Project.run` starts, real DVC and real scripts.

A run of the pipeline starts five Pythons, and half of its time they import the same libraries again; the suite does that
some thousand times. `python SCRIPT` and `dvc` become a small client here. It hands its arguments, folder, environment and
streams to a server, which forks; the child is the process as it would be, but that libraries (never the project's own code)
are imported. Whatever cannot be the same started this way is started cold: another option of Python, a terminal, another
session, locale, time zone, limit or set of processors. Processes that a test starts by itself, to kill them, to look at
their imports or to type into them, are always cold, and so is everything with WARM=0.

There are two servers, whose strings have different hashes, so that an order that depends on them is seen, as it is by users.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

AT_START = (
    "LANG",
    "LC_",
    "PYTHON",
    "TZ",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "LD_",
    "MALLOC_",
    "COVERAGE_",
    "DASK_",
    "JOBLIB_",
)
"""What Python and its libraries read once, as they start."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

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


def client(name: str, sockets: list[str], real: str) -> None:
    """Have the server run this process's command; become the cold command where that would not be the same."""
    arguments = sys.argv[1:]
    script = f"{os.path.dirname(real)}/dvc" if name == "dvc" else (arguments or [""])[0]
    if name == "python":
        arguments = arguments[1:]
    streams = [stream for stream in (0, 1, 2) if not os.isatty(stream)]
    if not script.endswith((".py", "/dvc")) or not os.path.exists(script) or len(streams) < 3:
        cold(name, real)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(sockets[os.urandom(1)[0] % len(sockets)])
    except OSError:
        cold(name, real)
    request = {
        "script": script,
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "group": os.getpgid(0),
        "inherited": inherited(),
    }
    umask = os.umask(0)
    os.umask(umask)
    message = json.dumps({**request, "umask": umask}).encode(errors="surrogateescape")
    socket.send_fds(server, [len(message).to_bytes(8, "little")], streams)
    server.sendall(message)
    answer = server.makefile("r")
    child = int(answer.readline() or 0)
    if not child:
        cold(name, real)
    for number in FORWARDED:
        signal.signal(number, lambda number, frame: os.kill(child, number))
    code = int(answer.readline() or 70)
    if code < 0:
        if -code in FORWARDED:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def cold(name: str, real: str) -> None:
    """Become the command as it would be without a server."""
    command = [f"{os.path.dirname(real)}/dvc"] if name == "dvc" else [real]
    os.execv(command[0], command + sys.argv[1:])


def inherited() -> list[object]:
    """What a process has from the one that started it: session, priority, processors that it may use, limits."""
    import resource

    limits = [list(resource.getrlimit(number)) for number in range(10)]
    return [os.getsid(0), os.nice(0), sorted(os.sched_getaffinity(0)), limits]


def of_start(environment: dict[str, str]) -> dict[str, str]:
    """The variables that a process reads as it starts, but PYTHONPATH, which `become` obeys."""
    read = {name: value for name, value in environment.items() if name.startswith(AT_START)}
    read.pop("PYTHONPATH", None)
    return read


def serve(path: str) -> None:
    """Import the libraries, and fork a child for each request, until whoever started this process is gone."""
    import importlib

    for library in LIBRARIES:
        importlib.import_module(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    parent = os.getppid()
    listener.settimeout(1)
    while os.getppid() == parent:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            keep(connection)
        connection.close()


def keep(connection: socket.socket) -> None:
    """Run one request in a child of this process, and tell the client how it ended; kill it when the client is gone."""
    import contextlib
    import select

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    length = int.from_bytes(head, "little")
    message = b""
    while len(message) < length:
        message += connection.recv(length - len(message))
    request = json.loads(message.decode(errors="surrogateescape"))
    same = of_start(request["environment"]) == of_start(dict(os.environ))
    if not same or request["inherited"] != inherited():
        os._exit(0)
    child = os.fork()
    if child == 0:
        connection.close()
        become(request, streams)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{child}\n".encode())
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):  # the client was killed
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: dict, streams: list[int]) -> None:
    """Make this process what `python SCRIPT` would be, and run the script."""
    import types

    os.setpgid(0, request["group"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.modules["numpy"].random.seed(None)
    script = os.path.abspath(request["script"])
    sys.argv = [request["script"], *request["arguments"]]
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[0:1] = [os.path.dirname(os.path.realpath(script)), *filter(None, folders)]
    main = types.ModuleType("__main__")
    main.__file__ = script
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    end(run(script, main))


def run(script: str, main: object) -> int:
    """Run a script as Python does; return its exit code."""
    try:
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
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 120
    os._exit(code)


def start(folder: str) -> None:
    """Start two servers, which end with this process, and write the clients `python` and `dvc` into a folder for the PATH.

    The servers need some seconds to import; what is run until then starts cold.
    """
    import shutil
    import subprocess

    shutil.copyfile(__file__, f"{folder}/warm_start.py")
    sockets = [f"{folder}/{number}.socket" for number in (1, 2)]
    for path in sockets:
        subprocess.Popen([sys.executable, __file__, path], stdin=subprocess.DEVNULL, cwd=folder)
    for name in ("python", "dvc"):
        lines = [
            f"#!{sys.executable} -IS",
            "import sys",
            f"sys.path.insert(0, {folder!r})",
            "from warm_start import client",
            f"client({name!r}, {sockets!r}, {sys.executable!r})",
        ]
        with open(f"{folder}/{name}", "w") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(f"{folder}/{name}", 0o755)


if __name__ == "__main__":
    serve(sys.argv[1])
