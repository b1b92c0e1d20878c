"""Which packages make the system, and from where: ``packages.toml`` and the machine's own apt sources."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from cardshop.programs import run

ARCHITECTURES = ("amd64", "arm64")
PACKAGE_LIST = Path(__file__).with_name("packages.toml")


@dataclass(frozen=True)
class Packages:
    """Debian release, archive components and package names."""

    release: str
    components: tuple[str, ...]
    names: tuple[str, ...]


def packages_for(architecture: str, path: Path = PACKAGE_LIST) -> Packages:
    """The packages of an architecture's base image."""
    with path.open("rb") as file:
        wire = tomllib.load(file)
    names = [*wire["common"]["packages"], *wire[architecture]["packages"]]
    return Packages(wire["release"], tuple(wire["components"]), tuple(names))


def sources_from(targets: str, packages: Packages) -> list[str]:
    """Lines of apt sources for the release, from what ``apt-get indextargets`` printed.

    Args:
        targets: a line for each index: address, release, file of the key (may be empty), split by tabs.
        packages: the release and the components that are wanted; the machine itself may use fewer.
    """
    suites = {packages.release, f"{packages.release}-updates", f"{packages.release}-security"}
    lines: dict[str, None] = {}
    for target in targets.splitlines():
        address, suite, key = target.split("\t")
        if suite in suites:
            option = f"[signed-by={key}] " if key.startswith("/") else ""
            lines[f"deb {option}{address} {suite} {' '.join(packages.components)}"] = None
    return list(lines)


def machine_sources(packages: Packages) -> list[str]:
    """The release's sources as this machine has them; none when it runs another release.

    mmdebstrap then takes the mirror that it knows itself.
    """
    form = "$(REPO_URI)\t$(RELEASE)\t$(SIGNED_BY)"
    argv = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    targets = run(argv, timeout=60, allowed=(0, 100)).text.replace("$(SIGNED_BY)", "")
    return sources_from(targets, packages)


def machine_options() -> list[str]:
    """How this machine reaches its mirror: apt's proxy and transport options, as configuration lines."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-")
    lines = run(["apt-config", "dump"], timeout=60).text.splitlines()
    return [line for line in lines if line.startswith(wanted) and not line.endswith(' "";')]
