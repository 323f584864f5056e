"""Starting Python warm: a server forks what `Project.run` starts, real DVC and real scripts; see `warm_server`.

A run of the pipeline starts five Pythons, and half of its time they import the same libraries again; the suite does that
some thousand times. `python SCRIPT` and `dvc` become a small client here. It hands its arguments, folder, environment and
streams to a server, which forks; the child is the process as it would be, but that libraries (never the project's own code)
are imported. Whatever cannot be the same started this way is started cold: another option of Python, a terminal, another
session, locale, time zone, limit or set of processors. Processes that a test starts by itself, to kill them, to look at
their imports or to type into them, are always cold, and so is everything with WARM=0.

A client starts for each of them, so it imports nothing but modules in C: `socket`, `signal` and `json` take 20 ms.

There are two servers, whose strings have different hashes, so that an order that depends on them is seen, as it is by users.
Two more fork the workers of `train`: loky starts them, and the process that looks after their semaphores, by `python -m` and
`python -c`, with the seed of hashes, and in a sweep the threads, that `lineage/runs/workers.py` asks for.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os
import sys
import zlib

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

MODULES = ("dvc", "joblib.externals.loky.backend.popen_loky_posix")
"""What runs warm by `python -m`."""
TRACKER = "from joblib.externals.loky.backend.resource_tracker import main; "

SEEDED = {"PYTHONHASHSEED": "0"}
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
SERVERS = ({}, {}, SEEDED, {**SEEDED, **ONE_THREAD})
"""What each server has in its environment beside what the tests have."""

FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


def warm(environment: dict[str, str]) -> dict[str, str]:
    """An environment whose `python` and `dvc`, where they are those of the tests, start warm."""
    folder = os.environ.get("WARM_STARTS")
    path = environment.get("PATH", "")
    if folder is None or not path.startswith(os.path.dirname(sys.executable)):
        return environment
    return {**environment, "PATH": f"{folder}{os.pathsep}{path}"}


def client(name: str, folder: str, real: str) -> None:
    """Have the server run this process's command; become the cold command where that would not be the same."""
    real = f"{os.path.dirname(real)}/{name}"
    script, arguments = command_of(real)
    streams = open_streams()
    if not script or any(os.isatty(stream) for stream in streams[:3]) or streams[:3] != [0, 1, 2]:
        cold(real)
    server = _socket.socket(_socket.AF_UNIX)
    sockets = sockets_of(folder, dict(os.environ))
    try:
        server.connect(sockets[os.urandom(1)[0] % len(sockets)])
    except (OSError, ZeroDivisionError):
        cold(real)
    request = {
        "script": script,
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "client": os.getpid(),
        "executable": None if name == "dvc" else real,
        "group": os.getpgid(0),
        "inherited": inherited(),
        "streams": streams,
    }
    umask = os.umask(0)
    os.umask(umask)
    message = marshal.dumps({**request, "umask": umask})
    numbers = b"".join(stream.to_bytes(4, sys.byteorder) for stream in streams)
    head = len(message).to_bytes(8, "little")
    server.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    server.sendall(message)
    child = int.from_bytes(receive(server, 8), "little")
    if not child:
        cold(real)
    for number in FORWARDED:
        _signal.signal(number, lambda number, frame: os.kill(child, number))
    answer = receive(server, 8)
    code = int.from_bytes(answer, "little", signed=True) if answer else 70
    if code < 0:
        if -code in FORWARDED:
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def receive(connection: _socket.socket, size: int) -> bytes:
    """Receive so many bytes; fewer where the other side is gone."""
    found = b""
    while len(found) < size:
        new = connection.recv(size - len(found))
        if not new:
            break
        found += new
    return found


def command_of(real: str) -> tuple[str, list[str]]:
    """What a server can run of this process's command, and its arguments: a script, one of `MODULES`, or `TRACKER`.

    For anything else it is an empty string.
    """
    arguments = sys.argv[1:]
    if real.endswith("/dvc"):
        return real, arguments
    if arguments[:1] == ["-m"] and arguments[1:2] and arguments[1] in MODULES:
        return arguments[1], arguments[2:]
    if arguments[-2:-1] == ["-c"] and arguments[-1].startswith(TRACKER):
        return arguments[-1], []
    script = (arguments or [""])[0]
    known = script.endswith(".py") and os.path.exists(script)
    return (script if known else ""), arguments[1:]


def open_streams() -> list[int]:
    """The numbers of all that is open: standard streams, and what loky hands to those that it starts."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # that of the listing itself
            continue
        found.append(int(name))
    return sorted(found)


def sockets_of(folder: str, environment: dict[str, str]) -> list[str]:
    """Where the servers listen that started with the variables of this environment that are read at the start."""
    digest = digest_of(environment)
    return [f"{folder}/{name}" for name in os.listdir(folder) if name.startswith(digest) and name.endswith(".socket")]


def digest_of(environment: dict[str, str]) -> str:
    """The variables that are read at the start, in eight characters."""
    return f"{zlib.crc32(repr(sorted(of_start(environment).items())).encode(errors='surrogateescape')):08x}"


def cold(real: str) -> None:
    """Become the command as it would be without a server."""
    os.execv(real, [real, *sys.argv[1:]])


def inherited() -> list[object]:
    """What a process has from the one that started it: session, priority, processors that it may use, limits."""
    import resource

    limits = [list(resource.getrlimit(number)) for number in range(10)]
    return [os.getsid(0), os.nice(0), sorted(os.sched_getaffinity(0)), limits]


def of_start(environment: dict[str, str]) -> dict[str, str]:
    """The variables that a process reads as it starts, but PYTHONPATH, which `become` obeys, and LANGUAGE, read at each use."""
    read = {name: value for name, value in environment.items() if name.startswith(AT_START)}
    read.pop("PYTHONPATH", None)
    read.pop("LANGUAGE", None)
    return read


def start(folder: str) -> None:
    """Start the servers, which end with this process, and write the clients into a folder for the PATH.

    The servers need some seconds to import; what is run until then starts cold.
    """
    import shutil
    import subprocess

    shutil.copyfile(__file__, f"{folder}/warm_start.py")
    server = f"{os.path.dirname(os.path.abspath(__file__))}/warm_server.py"
    for number, variables in enumerate(SERVERS):
        environment = {**os.environ, **variables}
        path = f"{folder}/{digest_of(environment)}-{number}.socket"
        subprocess.Popen([sys.executable, server, path], stdin=subprocess.DEVNULL, cwd=folder, env=environment)
    for name in ("python", "python3", "dvc"):
        lines = [
            f"#!{sys.executable} -IS",
            "import sys",
            f"sys.path.insert(0, {folder!r})",
            "from warm_start import client",
            f"client({name!r}, {folder!r}, {sys.executable!r})",
        ]
        with open(f"{folder}/{name}", "w") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(f"{folder}/{name}", 0o755)


def start_children_warm(folder: str, *beginning: str) -> None:
    """Have this process start its own Python, where it starts it by its path, by the client.

    Args:
        folder: of the clients.
        beginning: of the commands that are meant, after the path.
    """
    import subprocess

    begin = subprocess.Popen.__init__

    def begin_warm(self: subprocess.Popen, args: object, *rest: object, **options: object) -> None:
        if isinstance(args, list | tuple) and tuple(args[: 1 + len(beginning)]) == (sys.executable, *beginning):
            options.setdefault("executable", client_in(folder))
        begin(self, args, *rest, **options)

    subprocess.Popen.__init__ = begin_warm


def client_in(folder: str) -> str:
    """The client that stands for the Python of this process."""
    return f"{folder}/{os.path.basename(sys.executable)}"


def are_ready(folder: str) -> bool:
    """Whether all servers have imported what they have to."""
    return len([name for name in os.listdir(folder) if name.endswith(".socket")]) == len(SERVERS)
