"""A real catalogue on loopback: kiwix-serve gives the OPDS feed, a web server the files and metalinks."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cardshop.programs import find, run

METALINK = "urn:ietf:params:xml:ns:metalink"
"""Namespace of a metalink document (RFC 5854)."""


@dataclass(frozen=True)
class Server:
    """A program that serves the catalogue: its name and its argument list."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class CatalogueServers:
    """What has to run for the catalogue to answer, and where it answers."""

    feed_url: str
    servers: tuple[Server, ...]


def prepare(folder: Path, zims: Sequence[Path], *, feed_port: int, mirror_port: int) -> CatalogueServers:
    """Writes library and metalinks for ``zims`` (which lie in ``folder``) and says what to run."""
    library = folder / "library.xml"
    library.unlink(missing_ok=True)
    for zim in zims:
        address = f"http://127.0.0.1:{mirror_port}/{zim.name}"
        _write_metalink(zim, address)
        run(["kiwix-manage", library, "add", zim, f"--url={address}.meta4"], timeout=60)
    return CatalogueServers(
        feed_url=f"http://127.0.0.1:{feed_port}/catalog/v2/entries?count=-1",
        servers=(
            Server(
                "catalogue-feed",
                (find("kiwix-serve"), "-i", "127.0.0.1", "-p", str(feed_port), "--library", str(library)),
            ),
            Server(
                "catalogue-mirror",
                (find("busybox"), "httpd", "-f", "-p", f"127.0.0.1:{mirror_port}", "-h", str(folder)),
            ),
        ),
    )


def _write_metalink(zim: Path, address: str) -> None:
    with zim.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    ET.register_namespace("", METALINK)
    document = ET.Element(f"{{{METALINK}}}metalink")
    entry = ET.SubElement(document, f"{{{METALINK}}}file", name=zim.name)
    ET.SubElement(entry, f"{{{METALINK}}}size").text = str(zim.stat().st_size)
    ET.SubElement(entry, f"{{{METALINK}}}hash", type="sha-256").text = digest
    ET.SubElement(entry, f"{{{METALINK}}}url", priority="1").text = address
    ET.ElementTree(document).write(zim.with_name(f"{zim.name}.meta4"), encoding="utf-8", xml_declaration=True)
