"""The one way to run an external program: argument list, time limit, output kept, an error that helps."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from cardshop.contract.errors import ProgramFailed

log = structlog.get_logger(__name__)

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where Debian keeps mke2fs, sfdisk and their like; not on an ordinary user's PATH."""


@dataclass(frozen=True)
class Completed:
    """What a program printed and how it ended."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Standard error as text."""
        return self.stderr.decode(errors="replace")


def find(program: str) -> str:
    """Absolute path of a program on PATH or in the system folders.

    Raises:
        ProgramFailed: it isn't installed.
    """
    if "/" in program:
        return program
    found = shutil.which(program) or shutil.which(program, path=":".join(SYSTEM_FOLDERS))
    if found is None:
        raise ProgramFailed(f"The program {program} is not installed.", hint="Run: make setup")
    return found


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    allowed: Sequence[int] = (0,),
) -> Completed:
    """Runs a program to its end.

    Args:
        argv: the program and its arguments; never a shell line, never a secret (others can see it).
        timeout: seconds after which it is killed.
        stdin: bytes for its standard input; nothing otherwise.
        cwd: its working folder.
        env: its whole environment; ours when None.
        allowed: exit statuses that are not an error.

    Raises:
        ProgramFailed: not installed, too slow, or another exit status; the hint has its last lines.
    """
    words = [find(str(argv[0])), *(str(word) for word in argv[1:])]
    name = Path(words[0]).name
    try:
        done = subprocess.run(
            words, input=stdin or b"", capture_output=True, timeout=timeout, check=False, cwd=cwd, env=env
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{name} took more than {timeout:.0f} s and was ended.") from error
    log.debug("program ended", program=name, status=done.returncode)
    if done.returncode not in allowed:
        last_lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-5:]
        raise ProgramFailed(f"{name} failed with status {done.returncode}.", hint=" / ".join(last_lines))
    return Completed(done.returncode, done.stdout, done.stderr)
