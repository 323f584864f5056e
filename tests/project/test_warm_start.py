"""A script that starts warm sees what it would see if Python had started anew, and ends in the same way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm_start
from baked_projects import Project, clean_environment
from waiting import wait_for
from warm_start import warm

from lineage.runs.workers import THREAD_LIMITS

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, random, sys
import numpy
seen = {
    "argv": sys.argv, "file": __file__, "name": __name__, "main": sys.modules["__main__"].__file__, "path": sys.path[0],
    "folder": os.getcwd(), "executable": sys.executable, "umask": os.umask(0), "group": os.getpgid(0), "typed": sys.stdin.read(),
    "given": os.environ.get("GIVEN"), "hash": hash("text"), "tty": sys.stdout.isatty(), "flags": str(sys.flags),
    "drawn": [random.random(), float(numpy.random.rand())], "encoding": [sys.stdout.encoding, sys.stderr.errors],
}
print(json.dumps(seen))
print("said aside", file=sys.stderr)
"""
WORKER = """
import json, os, re, signal, sys, threading
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend import get_context, resource_tracker

def look():
    return {
        "argv": sys.argv, "main": sys.modules["__main__"].__name__, "path": sys.path[0], "folder": os.getcwd(),
        "group": os.getpgid(0), "given": os.environ["GIVEN"], "hash": hash("text"), "by": os.getppid(),
        "typed": sys.stdin.read(), "sets": list(set("abcdef")), "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }

def die(number):
    os.kill(os.getpid(), number)

def pool(**environment):
    return ProcessPoolExecutor(1, context=get_context("loky"), env={"PYTHONHASHSEED": "0", **environment})

if __name__ == "__main__":
    worker = pool(GIVEN="x", **json.loads(os.environ.get("LIMITS", "{}")))
    seen = worker.submit(look).result()
    warm = worker.submit(eval, "'sklearn' in __import__('sys').modules").result()
    print(json.dumps([seen.pop("by") == os.getpid(), warm, seen]))
    try:
        worker.submit(die, signal.SIGKILL).result()
    except Exception as error:
        print(re.search("exit codes of the workers are (.*})", str(error))[1])
    worker = pool()
    worker.submit(int)
    worker.shutdown(kill_workers=True)
    for thread in threading.enumerate():  # as lineage.runs.workers does, or loky warns of a leak
        if thread.name == "QueueFeederThread":
            thread.join(5)
    print(os.path.exists(f"/proc/{resource_tracker._resource_tracker._pid}"))
"""
ANEW = ("hash", "drawn")
"""What differs from one start of Python to the next."""


@pytest.fixture(scope="module")
def servers() -> Iterator[Path]:
    """The folder of the servers; where tests run in one process, they are of this file."""
    if "WARM_STARTS" in os.environ:
        yield Path(os.environ["WARM_STARTS"])
        return
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="warm-") as folder:
        warm_start.start(folder)
        patch.setenv("WARM_STARTS", folder)
        yield Path(folder)


@pytest.fixture
def machine(servers: Path, tmp_path: Path) -> Project:
    """An environment in which Python starts warm, once the servers have imported what they have to."""
    wait_for(lambda: warm_start.are_ready(str(servers)), 300)
    (tmp_path / "scripts").mkdir()
    return Project(tmp_path, clean_environment(tmp_path))


def write(machine: Project, code: str) -> None:
    (machine.path / "scripts/look.py").write_text(code, encoding="utf-8")


def start(machine: Project, *options: str, warmly: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**machine.environment, **environment}
    given = warm(given) if warmly else given
    command = ["python", *options, "scripts/look.py", "one", "two words", "ü"]
    return subprocess.run(
        command, cwd=machine.path, env=given, capture_output=True, text=True, input="typed", check=False
    )


def is_warm(machine: Project, *options: str, **environment: str) -> bool:
    write(machine, "import sys; print('sklearn' in sys.modules)")
    return start(machine, *options, **environment).stdout == "True\n"


def test_it_sees_what_it_would_see(machine: Project) -> None:
    assert is_warm(machine)
    write(machine, SCRIPT)
    warmly = start(machine, GIVEN="ü=1")
    cold = start(machine, GIVEN="ü=1", warmly=False)
    assert (warmly.returncode, warmly.stderr) == (cold.returncode, cold.stderr) == (0, "said aside\n")
    seen = json.loads(warmly.stdout)
    expected = json.loads(cold.stdout)
    for name in ANEW:
        seen.pop(name)
        expected.pop(name)
    assert seen == expected and seen["typed"] == "typed" and seen["given"] == "ü=1"


def test_chance_and_the_order_of_strings_differ_between_starts(machine: Project) -> None:
    write(machine, SCRIPT)
    drawn, hashes = set(), set()
    for number in range(1, 50):
        seen = json.loads(start(machine).stdout)
        drawn |= set(seen["drawn"])
        hashes.add(seen["hash"])
        assert len(drawn) == 2 * number
        if len(hashes) == 2:
            break
    assert len(hashes) == 2, "two servers, two hashes"


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(3)",
        "raise SystemExit('a sentence')",
        "raise SystemExit",
        "1 / 0",
        "raise KeyboardInterrupt",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import atexit, threading, time; atexit.register(print, 'last'); threading.Timer(0.2, print, ['late']).start()",
        "import os; os.close(1)",
        "this is no Python",
    ],
)
def test_it_ends_as_it_would_end(machine: Project, code: str) -> None:
    write(machine, code)
    warmly = start(machine)
    cold = start(machine, warmly=False)
    assert (warmly.returncode, warmly.stdout) == (cold.returncode, cold.stdout)
    assert warmly.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


def test_polars_is_imported_by_the_child_since_it_ends_no_fork(machine: Project) -> None:
    """Its thread is in the process that imported it, and the end of a child would wait for it."""
    write(
        machine,
        "import sys; print('sklearn' in sys.modules, 'polars' in sys.modules); import polars; print(polars.len())",
    )
    assert start(machine).stdout == "True False\nlen()\n"


def test_what_reads_its_environment_as_it_starts_is_started_cold(machine: Project) -> None:
    assert not is_warm(machine, "-I")
    assert not is_warm(machine, PYTHONHASHSEED="1")
    assert not is_warm(machine, LC_ALL="C")
    assert not is_warm(machine, TZ="Asia/Tokyo")
    assert not is_warm(machine, DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="2s")
    for limited in ("ulimit -f 1000", "taskset --pid --cpu-list 0 $$", "renice -n 1 -p $$"):
        typed = ["sh", "-c", f"{limited} >&2 && python scripts/look.py"]
        done = subprocess.run(
            typed, cwd=machine.path, env=warm(machine.environment), capture_output=True, text=True, check=True
        )
        assert done.stdout == "False\n", limited
    other = {**machine.environment, "PATH": "/usr/bin:/bin"}
    assert warm(other) == other, "another Python than that of the tests"


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(THREAD_LIMITS, "1")])
def test_a_worker_of_a_sweep_is_as_it_would_be(machine: Project, limits: dict[str, str]) -> None:
    write(machine, WORKER)
    warmly = start(machine, LIMITS=json.dumps(limits))
    cold = start(machine, LIMITS=json.dumps(limits), warmly=False)
    assert (warmly.returncode, warmly.stderr) == (cold.returncode, cold.stderr) == (0, "")
    [seen, *said] = warmly.stdout.splitlines()
    [expected, *expected_said] = cold.stdout.splitlines()
    assert json.loads(seen) == [True, True, *json.loads(expected)[2:]]
    assert json.loads(expected)[:2] == [True, False]
    assert said == expected_said == ["{SIGKILL(-9)}", "True"]


def test_a_worker_with_other_threads_starts_cold(machine: Project) -> None:
    write(machine, WORKER)
    done = start(machine, LIMITS=json.dumps({"OMP_NUM_THREADS": "2"}))
    assert json.loads(done.stdout.splitlines()[0])[:2] == [True, False]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_client(machine: Project, number: signal.Signals) -> None:
    write(machine, "import os, time; print(os.getpid(), flush=True); time.sleep(100)")
    command = ["python", "scripts/look.py"]
    with subprocess.Popen(
        command, cwd=machine.path, env=warm(machine.environment), stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        child = int(client.stdout.readline())
        assert child != client.pid
        os.kill(client.pid, number)
        assert client.wait(timeout=20) == -number
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 20)


def test_one_that_is_killed_while_another_begins_takes_no_server_with_it(machine: Project) -> None:
    """A server finds all three at once: the client is gone, another comes, the child has ended; numbers are given anew."""
    write(machine, "import os, sys; print(os.getpid(), flush=True); sys.stdin.readline()")
    environment = warm({**machine.environment, "PYTHONHASHSEED": "0"})  # of one server only

    def begin() -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen(["python", "scripts/look.py"], cwd=machine.path, env=environment, text=True, **pipes)

    killed = begin()
    assert killed.stdout is not None
    child = int(killed.stdout.readline())

    def state() -> list[str]:
        return Path(f"/proc/{child}/stat").read_text("utf-8").rpartition(")")[2].split()

    server = int(state()[1])
    assert child != killed.pid and server != os.getpid(), "it started warm: nobody stops this process"
    os.kill(server, signal.SIGSTOP)
    try:
        killed.kill()
        killed.wait()
        other = begin()
        time.sleep(0.5)  # it asks the server
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: state()[0] == "Z", 20)
    finally:
        os.kill(server, signal.SIGCONT)
    assert other.communicate("\n", timeout=60)[0].strip().isdigit() and other.returncode == 0
    assert Path(f"/proc/{server}").exists()


@pytest.mark.parametrize("command", ["dvc --version", "python -m dvc --version", "python3 scripts/look.py"])
def test_what_starts_it_makes_no_difference(machine: Project, command: str) -> None:
    write(machine, SCRIPT)
    said = [
        subprocess.run(
            command.split(), cwd=machine.path, env=env, capture_output=True, text=True, check=True, input="typed"
        ).stdout
        for env in (machine.environment, warm(machine.environment))
    ]
    if command.endswith(".py"):
        seen, expected = (json.loads(line) for line in said)
        assert (seen["executable"], seen["argv"]) == (expected["executable"], expected["argv"])
    else:
        assert said[0] == said[1] != ""
    client = Path(os.environ["WARM_STARTS"], command.split()[0])
    assert Path(sys.executable).name in client.read_text(encoding="utf-8")


def test_its_children_start_warm_too(machine: Project) -> None:
    (machine.path / "child.py").write_text(
        "import os, sys; print('sklearn' in sys.modules, os.getppid(), sys.argv, sys.executable)", encoding="utf-8"
    )
    write(
        machine,
        """
import os, subprocess, sys
told = subprocess.run([sys.executable, "child.py", "one"], capture_output=True, text=True).stdout
print(told == f"True {os.getpid()} ['child.py', 'one'] {sys.executable}\\n")
print(subprocess.run([sys.executable, "-m", "dvc", "--version"], capture_output=True, text=True).stdout.strip())
session = subprocess.run([sys.executable, "child.py"], capture_output=True, text=True, start_new_session=True)
print(session.stdout.startswith("False "))
print(subprocess.run([sys.executable, "-c", "print('cold')"], capture_output=True, text=True).args[0] == sys.executable)
""",
    )
    warmly = start(machine)
    assert warmly.stderr == ""
    version = machine.run("dvc", "--version").stdout.strip()
    assert warmly.stdout.splitlines() == ["True", version, "True", "True"]
