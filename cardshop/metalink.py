"""Reads and makes metalinks (RFC 5854): a file's exact size, SHA-256, mirrors, and checksums of its pieces.

Pieces serve to find *which* bytes are wrong, often with SHA-1; whether a file is the right one, its SHA-256
says.
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from cardshop.contract.errors import MirrorRefused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "urn:ietf:params:xml:ns:metalink"
METALINK = f"{{{NAMESPACE}}}"
SUFFIX = ".meta4"
LOWEST_PRIORITY = 999_999
"""RFC 5854: of a mirror that tells none."""

LARGEST_PIECE_BYTES = 64 * 1024 * 1024
"""Pieces are held in memory until they are checked; larger ones are of no use."""

_ALGORITHMS = {"sha-1": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
"""Hash names of IANA's registry, as RFC 5854 wants them, and Python's."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")
LONGEST_NAME_BYTES = 255


@dataclass(frozen=True)
class Pieces:
    """A file cut in pieces of ``length`` bytes (the last may be shorter), and the checksum of each."""

    length: int
    algorithm: str  # of hashlib
    checksums: tuple[bytes, ...]

    def is_good(self, index: int, data: bytes | memoryview) -> bool:
        """Whether ``data`` is the piece ``index``."""
        made = hashlib.new(self.algorithm, data, usedforsecurity=False)
        return made.digest() == self.checksums[index]


@dataclass(frozen=True)
class Metalink:
    """The one file that a metalink describes."""

    name: str
    size_bytes: int
    sha256: str
    urls: tuple[str, ...]  # best first, at least one
    pieces: Pieces | None  # None: it tells none, or none that can be used


def is_zim_name(name: str) -> bool:
    """Whether a ZIM file may have the name: one in a folder, that a page can show and a card can hold."""
    can_be_shown = name.isprintable() and not name.startswith((".", "-", " ")) and "\ufffd" not in name
    is_one_name = not {"/", "\\"} & set(name) and name.endswith(".zim")
    return can_be_shown and is_one_name and len(name.encode()) <= LONGEST_NAME_BYTES


def metalink(
    name: str,
    size_bytes: int,
    sha256: str,
    addresses: Sequence[str],
    *,
    piece_bytes: int,
    pieces: Iterable[str],
) -> bytes:
    """The document that describes one file.

    Args:
        name: of the file.
        size_bytes: its exact size.
        sha256: of the whole file, in hexadecimal digits.
        addresses: of its mirrors, the best first.
        piece_bytes: length of a piece.
        pieces: SHA-256 of each piece in their order.
    """
    ET.register_namespace("", NAMESPACE)
    document = ET.Element(f"{METALINK}metalink")
    file = ET.SubElement(document, f"{METALINK}file", name=name)
    ET.SubElement(file, f"{METALINK}size").text = str(size_bytes)
    ET.SubElement(file, f"{METALINK}hash", type="sha-256").text = sha256
    told = ET.SubElement(file, f"{METALINK}pieces", length=str(piece_bytes), type="sha-256")
    for checksum in pieces:
        ET.SubElement(told, f"{METALINK}hash").text = checksum
    for priority, address in enumerate(addresses, 1):
        ET.SubElement(file, f"{METALINK}url", priority=str(priority)).text = address
    made: bytes = ET.tostring(document, encoding="utf-8", xml_declaration=True)
    return made


def file_checksums(stream: BinaryIO, piece_bytes: int) -> tuple[str, tuple[str, ...]]:
    """SHA-256 of all that the stream still has, and of each of its pieces."""
    whole, pieces = hashlib.sha256(), []
    while piece := stream.read(piece_bytes):
        whole.update(piece)
        pieces.append(hashlib.sha256(piece).hexdigest())
    return whole.hexdigest(), tuple(pieces)


def read_metalink(document: bytes, *, url: str) -> Metalink:
    """The one file that the metalink fetched from ``url`` describes.

    Raises:
        MirrorRefused: it is no metalink, or lacks what a card needs: size, SHA-256, name, an address.
    """
    try:
        root = fromstring(document)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise MirrorRefused(f"{url} is no metalink ({error}).") from None
    files = root.findall(f"{METALINK}file")
    if len(files) != 1:
        raise MirrorRefused(f"The metalink {url} describes {len(files)} files, not one.")
    file = files[0]
    name = file.get("name", "")
    size = (file.findtext(f"{METALINK}size") or "").strip()
    sha256 = _sha256(file)
    mirrors = _mirrors(file)
    if not is_zim_name(name):
        raise MirrorRefused(f"The metalink {url} names no ZIM file.")
    if not _NUMBER.fullmatch(size) or sha256 is None or not mirrors:
        raise MirrorRefused(f"The metalink {url} lacks the size, the SHA-256 or an address of the file.")
    return Metalink(name, int(size), sha256, mirrors, _pieces(file, int(size)))


def _sha256(file: Element) -> str | None:
    for element in file.findall(f"{METALINK}hash"):
        value = (element.text or "").strip().lower()
        if element.get("type") == "sha-256" and _SHA256.fullmatch(value):
            return value
    return None


def _mirrors(file: Element) -> tuple[str, ...]:
    ranked = []
    for element in file.findall(f"{METALINK}url"):
        priority = element.get("priority", "")
        rank = int(priority) if _NUMBER.fullmatch(priority) else LOWEST_PRIORITY
        address = (element.text or "").strip()
        if _is_web(address):
            ranked.append((rank, address))
    return tuple(address for _, address in sorted(ranked, key=lambda pair: pair[0]))


def _is_web(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:  # such as http://[
        return False


def _pieces(file: Element, size: int) -> Pieces | None:
    for element in file.findall(f"{METALINK}pieces"):
        told = element.get("length", "")
        algorithm = _ALGORITHMS.get(element.get("type", ""))
        if algorithm is None or not _NUMBER.fullmatch(told) or not 0 < int(told) <= LARGEST_PIECE_BYTES:
            continue
        try:
            checksums = tuple(bytes.fromhex(child.text or "") for child in element.findall(f"{METALINK}hash"))
        except ValueError:
            continue
        width = hashlib.new(algorithm, usedforsecurity=False).digest_size
        if len(checksums) == -(-size // int(told)) and all(len(item) == width for item in checksums):
            return Pieces(int(told), algorithm, checksums)
    return None
