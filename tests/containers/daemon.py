"""A Docker daemon: the one that runs, or one of our own for the length of the tests (needs root)."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cardshop.contract.errors import Unavailable
from cardshop.programs import Completed, run
from cardshop.stack.waiting import wait_for

_ALONE = Path(tempfile.gettempdir(), "cardshop-docker.lock")

START_SECONDS = 60.0
STOP_SECONDS = 60.0
COMMAND_SECONDS = 60.0


class Docker:
    """Docker's command line, told which daemon to use and to build with the daemon's own builder."""

    def __init__(self, host: str) -> None:
        own = {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        self.environment = {**os.environ, **own, **({"DOCKER_HOST": host} if host else {})}

    def run(
        self,
        *words: str | Path,
        timeout: float = COMMAND_SECONDS,
        stdin: bytes | None = None,
        allowed: Sequence[int] = (0,),
    ) -> Completed:
        """``docker WORDS``. Raises ProgramFailed."""
        return run(["docker", *words], timeout=timeout, stdin=stdin, env=self.environment, allowed=allowed)

    def answers(self) -> bool:
        if not shutil.which("docker"):
            return False
        done = run(["docker", "version"], timeout=COMMAND_SECONDS, env=self.environment, allowed=range(256))
        return done.status == 0

    def has_image(self, name: str) -> bool:
        return bool(self.run("images", "--quiet", name).text.strip())


@contextmanager
def docker(data: Path) -> Iterator[Docker | None]:
    """The daemon that runs already, else one with its images in ``data``; None where neither can be."""
    found = Docker("")
    if found.answers():
        yield found
    elif os.geteuid() == 0 and shutil.which("dockerd"):
        with _own_daemon(data) as own:
            yield own
    else:
        yield None


@contextmanager
def _own_daemon(data: Path) -> Iterator[Docker]:
    data.mkdir(parents=True, exist_ok=True)
    with _ALONE.open("w") as alone:
        # Two daemons would give out the same addresses on one bridge.
        fcntl.flock(alone, fcntl.LOCK_EX)
        with _started(data) as own:
            yield own


@contextmanager
def _started(data: Path) -> Iterator[Docker]:
    # A socket's path may have 108 characters, and a checkout's may be longer.
    with tempfile.TemporaryDirectory(prefix="cardshop-docker-") as scratch:
        host = f"unix://{scratch}/docker.sock"
        log = data.with_name("dockerd.log")
        argv: list[str | Path] = [
            "dockerd",
            "--host",
            host,
            "--data-root",
            data,
            "--exec-root",
            f"{scratch}/exec",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*argv, "--pidfile", f"{scratch}/pid"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            own = Docker(host)
            wait_for("dockerd", lambda: _ready(process, own, log), START_SECONDS)
            yield own
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)
            # Of containers on the host's network a mount stays, and would keep the folder from going.
            for mounted in Path(scratch, "exec", "netns").glob("*"):
                run(["umount", mounted], timeout=COMMAND_SECONDS, allowed=range(256))


def _ready(process: subprocess.Popen[bytes], own: Docker, log: Path) -> bool:
    if process.poll() is not None:
        raise Unavailable("dockerd ended.", hint=log.read_text(errors="replace")[-2000:])
    return own.answers()
