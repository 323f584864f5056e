"""Run a real S3 server on loopback, for tests and the demo: SeaweedFS, which keeps its data and refuses wrong keys."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
REGION = "us-east-1"
SECONDS_TO_START = 60
SECONDS_TO_STOP = 20

PORT_FLAGS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "volume.port.public",
    "filer.port",
    "filer.port.grpc",
    "filer.port.public",
    "admin.port",
    "admin.port.grpc",
)
"""Everything that listens. Two servers whose flags are left out meet on 8888 and on the gRPC ports."""

SWITCHES = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",  # without it every address of the machine is bound
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",  # a bucket that is missing stays missing, as on AWS
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=64",
)


@dataclass
class S3Server:
    """A server that can be stopped, killed, and started again on the same folder and port.

    Attributes:
        folder: where it keeps its data.
        bucket: the bucket that it makes.
        access_key: the one access key that it accepts.
        secret_key: the secret that belongs to it.
        ports: by flag of `weed mini`; kept over a restart.
        process: the running server; None when it is down.
    """

    folder: Path
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL that clients are given."""
        return f"http://{HOST}:{self.ports['s3.port']}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a shell exports to use it."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self) -> Any:
        """A botocore client with the right keys."""
        from botocore.config import Config
        from botocore.session import Session

        return Session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 1}, proxies={}),
        )

    def start(self) -> None:
        """Start it and wait until the bucket and all objects are there, which is slightly after the port answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; with the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Its own temporary folder: it leaves weed.* files and sockets there. Unix sockets allow 107 characters.
        self._temporary = tempfile.TemporaryDirectory(prefix="s3-", ignore_cleanup_errors=True)
        temporary = self._temporary.name
        log = self.folder.parent / f"{self.folder.name}.log"
        command = [str(Path(sys.executable).parent / "weed"), "mini", *SWITCHES]
        command += [f"-dir={self.folder}", f"-bucket={self.bucket}"]
        command += [f"-s3.localSocket={temporary}/s3.sock", f"-filer.localSocket={temporary}/filer.sock"]
        command += [f"-{flag}={port}" for flag, port in self.ports.items()]
        environment = {"PATH": os.environ["PATH"], "HOME": temporary, "TMPDIR": temporary, **self.credentials}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=temporary, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            self._wait(log)
        except BaseException:
            self.kill()
            raise

    def _wait(self, log: Path) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        client, last, missing = self.client(), time.monotonic() + SECONDS_TO_START, ""
        while True:
            try:
                client.head_bucket(Bucket=self.bucket)
                if self._has_its_volumes():
                    return
                missing = "its volumes are not registered"
            except (BotoCoreError, ClientError, OSError) as error:
                missing = str(error)
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > last:
                tail = " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
                reason = "it ended at once" if ended else f"after {SECONDS_TO_START} s: {missing}"
                raise RuntimeError(f"the S3 server did not start: {reason}; {log}: {tail}")
            time.sleep(0.1)

    def _has_its_volumes(self) -> bool:
        """Tell whether every volume in the folder can be read: after a kill that is seconds later than the bucket."""
        with contextlib.closing(http.client.HTTPConnection(HOST, self.ports["master.port"], timeout=2)) as connection:
            connection.request("GET", "/dir/status")
            topology = json.load(connection.getresponse())["Topology"]
        used = topology["Max"] - topology["Free"]
        return topology["Max"] > 0 and used >= len(list(self.folder.glob("*.dat")))

    def stop(self) -> None:
        """End it in good order."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        if self.process is None:
            return
        if not kill:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(SECONDS_TO_STOP)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process = None
        self._temporary.cleanup()
        for port in self.ports.values():  # the sockets whose place cannot be chosen
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
                left.unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, all different, below those that the system hands to outgoing connections."""
    found: list[int] = []
    for port in random.sample(range(10_000, 32_000), 22_000):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free port on this machine")


@contextlib.contextmanager
def s3_server(
    folder: Path, bucket: str, access_key: str, secret_key: str, port: int | None = None
) -> Iterator[S3Server]:
    """Run a server while the block runs.

    Args:
        folder: where it keeps its data; what is there is served again. Its log lies beside it.
        bucket: made when it is missing.
        access_key: the one access key that it accepts.
        secret_key: the secret that belongs to it.
        port: of the S3 endpoint; None: any free one.

    Raises:
        RuntimeError: it does not start.
    """
    ports = dict(zip(PORT_FLAGS, free_ports(len(PORT_FLAGS)), strict=True))
    if port is not None:
        ports["s3.port"] = port
    server = S3Server(folder, bucket, access_key, secret_key, ports)
    server.start()
    try:
        yield server
    finally:
        server.stop()
