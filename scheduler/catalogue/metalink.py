"""Reads metalinks (RFC 5854): a file's exact size, its SHA-256 and its mirrors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from cardshop.contract.errors import MirrorRefused
from scheduler.domain.catalogue import FileFacts

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type only; defusedxml parses

METALINK = "{urn:ietf:params:xml:ns:metalink}"
SUFFIX = ".meta4"
LOWEST_PRIORITY = 999_999
"""RFC 5854: of a mirror that tells none."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ZIM_NAME = re.compile(r"[\w][\w .+()-]{0,195}\.zim")


def read_metalink(document: bytes, *, url: str) -> FileFacts:
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
    if not _ZIM_NAME.fullmatch(name):
        raise MirrorRefused(f"The metalink {url} names no ZIM file.")
    if not size.isdecimal() or sha256 is None or not mirrors:
        raise MirrorRefused(f"The metalink {url} lacks the size, the SHA-256 or an address of the file.")
    return FileFacts(name, int(size), sha256, mirrors)


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
        rank = int(priority) if priority.isdecimal() else LOWEST_PRIORITY
        address = (element.text or "").strip()
        if urlsplit(address).scheme in ("http", "https"):
            ranked.append((rank, address))
    return tuple(address for _, address in sorted(ranked, key=lambda pair: pair[0]))
