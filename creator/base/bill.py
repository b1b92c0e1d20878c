"""What a system is made of, as a software bill of materials: CycloneDX 1.5 in JSON (ECMA-424).

The same packages give the same bytes: no clock and no chance goes in.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cardshop.programs import run

SPECIFICATION = "1.5"
DPKG_STATUS = "./var/lib/dpkg/status"
NAMESPACE = uuid.UUID("0d3f6a9a-5c0b-5d0f-8a53-1f0a4c6e9b21")
"""Of the serial numbers, which are made from what a bill lists."""


@dataclass(frozen=True, order=True)
class Package:
    """A Debian package of the system."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str


def packages_in(archive: Path) -> tuple[Package, ...]:
    """The packages that dpkg has installed in a root file system's tar archive, by name.

    Raises:
        ProgramFailed: the archive has no list of packages.
    """
    status = run(["tar", "-xOf", archive, DPKG_STATUS], timeout=600).text
    return tuple(sorted(installed(status)))


def installed(status: str) -> Iterator[Package]:
    """The installed packages of a dpkg status file (deb-control(5))."""
    for paragraph in status.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] not in " \t"
        )
        if fields.get("Status", "").endswith(" installed"):
            # "Source: NAME (VERSION)", where either differs from the package's own.
            source, _, version = fields.get("Source", fields["Package"]).partition(" ")
            yield Package(
                fields["Package"],
                fields["Version"],
                fields["Architecture"],
                source,
                version.strip("()") or fields["Version"],
            )


def package_component(package: Package, release: str) -> dict[str, Any]:
    """A package as a component; its address is a package URL of the type deb."""
    version = quote(package.version, safe="~")
    upstream = quote(f"{package.source}@{package.source_version}", safe="~")
    address = f"pkg:deb/debian/{quote(package.name)}@{version}?arch={package.architecture}"
    return {
        "type": "library",
        "bom-ref": f"{package.name}:{package.architecture}",
        "name": package.name,
        "version": package.version,
        "purl": f"{address}&distro=debian-{release}&upstream={upstream}",
        "properties": [
            {"name": "cardshop:architecture", "value": package.architecture},
            {"name": "cardshop:source", "value": package.source},
            {"name": "cardshop:source-version", "value": package.source_version},
        ],
    }


def bill(subject: dict[str, Any], components: Iterable[dict[str, Any]], epoch: int) -> bytes:
    """The document.

    Args:
        subject: the component that the bill is about.
        components: what it is made of.
        epoch: the document's date, in seconds since 1970.
    """
    listed = list(components)
    seed = hashlib.sha256(json.dumps([subject, listed], sort_keys=True).encode()).hexdigest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": uuid.uuid5(NAMESPACE, seed).urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "cardshop"}]},
            "component": subject,
        },
        "components": listed,
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def base_bill(name: str, release: str, sha256: str, packages: Iterable[Package], epoch: int) -> bytes:
    """The bill of a base image, whose bytes have the checksum ``sha256``."""
    subject = {
        "type": "operating-system",
        "bom-ref": name,
        "name": name,
        "version": release,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    return bill(subject, (package_component(package, release) for package in packages), epoch)
