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
from conftest import Project, clean_environment, warm

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
    until = time.monotonic() + 120
    while not all((servers / f"{number}.socket").exists() for number in (1, 2)):
        assert time.monotonic() < until, "the servers do not start"
        time.sleep(0.1)
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
    until = time.monotonic() + 20
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < until, "what the client started goes on"
        time.sleep(0.05)


def test_dvc_is_dvc(machine: Project) -> None:
    said = [
        subprocess.run(["dvc", "--version"], env=environment, capture_output=True, text=True, check=True).stdout
        for environment in (machine.environment, warm(machine.environment))
    ]
    assert said[0] == said[1] != ""
    assert sys.executable in Path(os.environ["WARM_STARTS"], "python").read_text(encoding="utf-8")
