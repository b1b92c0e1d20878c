"""Images that no registry is needed for: a Debian base from its packages, and MongoDB on it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from cardshop.programs import run
from cardshop.stack.mongod import binary
from tests.containers.daemon import Docker

BASE = "cardshop-test/debian:bookworm"
MONGO = "cardshop-test/mongod:6.0"
TRUSTED_HERE = Path("/usr/local/share/ca-certificates")
PIP_SETTINGS = "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"

BASE_SECONDS = 600
MONGO_SECONDS = 600


def base_image(docker: Docker) -> str:
    """Debian 12 with its certificates and those that this machine trusts besides; made once a daemon."""
    if not docker.has_image(BASE):
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "base.tar"
            run(_debian(archive), timeout=BASE_SECONDS)
            docker.run("import", archive, BASE, timeout=BASE_SECONDS)
    return BASE


def mongod_image(docker: Docker) -> str:
    """The ``mongod`` of the local stack on the base image; made once a daemon."""
    if not docker.has_image(MONGO):
        program = binary()
        assert program, "mongod is not installed; run: make setup"
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copy(program, scratch)
            dockerfile = Path(__file__).with_name("mongod.Dockerfile")
            argument = f"BASE={base_image(docker)}"
            docker.run(
                *("build", "--quiet", "--build-arg", argument, "--file", dockerfile, "--tag", MONGO, scratch),
                timeout=MONGO_SECONDS,
            )
    return MONGO


def _debian(archive: Path) -> list[str | Path]:
    keep_out = [
        f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "info", "locale", "man")
    ]
    trust = [
        'mkdir -p "$1/usr/local/share/ca-certificates"',
        f'cp -r {TRUSTED_HERE}/. "$1/usr/local/share/ca-certificates" 2>/dev/null || true',
        'chroot "$1" update-ca-certificates',
        f"printf '{PIP_SETTINGS.encode('unicode_escape').decode()}' > \"$1/etc/pip.conf\"",
    ]
    hooks = [f"--customize-hook={command}" for command in trust]
    options = ["--quiet", "--variant=minbase", "--include=ca-certificates", *keep_out, *hooks]
    return ["mmdebstrap", *options, "bookworm", archive]
