"""The root file system as a tar archive: mmdebstrap with our package list and hooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.programs import find, run
from creator.base.packages import machine_options, machine_sources, packages_for

HOOKS = Path(__file__).with_name("hooks")
EMULATORS = {"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")
BUILD_TIMEOUT = 2 * 60 * 60.0
"""Seconds. Another architecture is emulated, on a slow machine for the better part of an hour."""

LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
"""What dpkg doesn't unpack: nobody reads manuals on a hotspot; the licences stay."""


def make_root_file_system(architecture: str, archive: Path, *, epoch: int) -> None:
    """Writes the system's tree to ``archive``, an uncompressed tar file.

    Args:
        architecture: of the system; one that isn't this machine's is emulated by QEMU.
        archive: made anew; apt's configuration for the build is written beside it.
        epoch: the time that files made by the build carry, in seconds since 1970.

    Raises:
        ProgramFailed: a tool is missing, or the build failed; the hint says what to do.
    """
    packages = packages_for(architecture)
    # As files, since the address of a mirror or of a proxy may hold a password.
    options, sources = archive.with_name("apt.conf"), archive.with_name("sources.list")
    options.write_text("".join(f"{line}\n" for line in machine_options()))
    sources.write_text("".join(f"{line}\n" for line in machine_sources(packages)))
    mode = "root" if os.geteuid() == 0 else "unshare"
    argv = [
        find("mmdebstrap"), f"--mode={mode}", "--variant=required", "--format=tar",
        f"--architectures={architecture}", f"--include={','.join(packages.names)}",
        *(f"--dpkgopt={line}" for line in LEFT_OUT),
        f"--aptopt={options}",
        f"--essential-hook={HOOKS / 'essential.sh'}",
        f"--customize-hook={HOOKS / 'customize.sh'} \"$1\" {architecture}",
        packages.release, str(archive), *([str(sources)] if sources.stat().st_size else []),
    ]  # fmt: skip
    environment = dict(os.environ) | {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    if architecture != native_architecture() and not (BINFMT / EMULATORS[architecture]).exists():
        argv = [*registering_emulator(architecture), *argv]
    run(as_root(argv), timeout=BUILD_TIMEOUT, env=environment)


def native_architecture() -> str:
    """This machine's architecture in Debian's words."""
    return run(["dpkg", "--print-architecture"], timeout=30).text.strip()


def registering_emulator(architecture: str) -> list[str]:
    """The beginning of a command whose programs are another architecture's.

    The kernel is told of the emulator in namespaces of the command's own (an ordinary user's is a user
    namespace too: Linux 6.7 and later), so that nothing has to be set up on the machine.

    Raises:
        ProgramFailed: the emulator isn't installed.
    """
    emulator = EMULATORS[architecture]
    formats = sorted(Path("/usr/lib/binfmt.d").glob(f"{emulator}*.conf"))
    if not formats:
        raise ProgramFailed(
            f"This machine can't run programs for {architecture}.",
            hint="Install the packages qemu-user-static and arch-test (make setup does).",
        )
    mount = 'mount -t binfmt_misc none "$1"'
    register = '{ [ -e "$1/$2" ] || cat "$3" > "$1/register"; }'
    script = f'{mount} && {register} && shift 3 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(BINFMT), emulator, str(formats[0])]


def as_root(command: Sequence[str | Path]) -> Sequence[str | Path]:
    """The command, able to give files to any owner: as it is for root, else root of a user namespace.

    That root is the user, so it reads what the user reads; mmdebstrap's own namespace would not.
    """
    if os.geteuid() == 0:
        return command
    return ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--", *command]
