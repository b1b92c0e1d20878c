"""Offspot's image YAML, as its ``image-creator`` reads it: what of it makes a recipe of ours.

Format: the README of offspot/image-creator 1.1 and the classes of offspot-config 2.9 (``base``, ``output``,
``oci_images``, ``files``, ``write_config``, ``offspot``). Here it is plain data already; what can't be taken
is told with the name of its field.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cardshop.contract.errors import InvalidInput
from cardshop.contract.tasks import ARCHIVES, DIRECT

DATA = "/data"
IMAGES = f"{DATA}/images"
WRITTEN_CONFIG = f"{DATA}/image.yaml"
"""Where ``write_config`` puts the file itself."""

MOST_FILES = 1000
LARGEST_DOCUMENT_BYTES = 1024 * 1024
SYSTEM = "offspot"
"""What a base says that is for such recipes."""

SECRET_NAMES = re.compile(r"pass|secret|token|credential|protected|psk", re.IGNORECASE)
HIDDEN = "?"
"""Stands for a secret in what is told: too short for a Wi-Fi key, so that no card is open by mistake."""

_BASE64 = "base64"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_ALGORITHMS = ("sha-1", "sha-224", "sha-256", "sha-384", "sha-512", "md5", "adler32")
_KNOWN = {
    "": {"base", "output", "oci_images", "files", "write_config", "offspot"},
    "base": {"source", "rootfs_size", "checksum"},
    "output": {"size", "compress"},
    "oci_images": {"ident", "url", "filesize", "fullsize"},
    "files": {"to", "url", "content", "via", "size", "checksum"},
    "checksum": {"algo", "value", "kind"},
}


@dataclass(frozen=True)
class FileSource:
    """A file that is fetched."""

    field: str  # in the YAML, for example "files[3]"
    to: str
    url: str
    via: str
    size: int | None  # as the YAML tells: of what is unpacked
    sha256: str | None
    sha256_url: str | None  # where it can be read


@dataclass(frozen=True)
class OffspotRecipe:
    """What a recipe keeps of an Offspot YAML."""

    sources: tuple[FileSource, ...]
    inline_bytes: tuple[int, ...]  # sizes of the files that are in the document itself
    document: str  # the YAML's text, whole: it may hold secrets, and is sealed in the database


@dataclass(frozen=True)
class Read:
    """An Offspot YAML that was read."""

    source: str  # base.source
    size: int | None  # output.size in bytes; None: auto
    sources: tuple[FileSource, ...]
    inline: tuple[tuple[str, bytes], ...]  # path and bytes
    runtime: dict[str, Any]

    def recipe(self, document: str) -> OffspotRecipe:
        """What a recipe keeps."""
        return OffspotRecipe(self.sources, tuple(len(data) for _, data in self.inline), document)


def read(data: Any, text: str) -> Read:
    """Reads the YAML's data.

    Args:
        data: what the YAML says.
        text: the YAML itself, which ``write_config`` puts on the card.

    Raises:
        InvalidInput: the first thing that can't be taken; ``field`` names it.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput("An Offspot YAML is a mapping.", hint="It begins with base:", field="yaml")
    _only_known(data, "", "")
    base = _mapping(data, "base")
    _only_known(base, "base", "base.")
    output = _mapping(data, "output") if data.get("output") is not None else {}
    _only_known(output, "output", "output.")
    if output.get("compress"):
        raise InvalidInput("Images are not compressed here.", hint="Leave it out.", field="output.compress")
    sources, inline = _files(data, text)
    return Read(
        source=_text(base, "source", "base.source"),
        size=_size(output.get("size"), "output.size"),
        sources=(*_images(data), *sources),
        inline=inline,
        runtime=_runtime(data),
    )


def hidden(data: Any) -> Any:
    """The data with each secret hidden: known by its name, in mappings and as ``NAME=value``."""
    if isinstance(data, Mapping):
        return {
            name: HIDDEN
            if SECRET_NAMES.search(str(name)) and isinstance(value, str | int) and value != ""
            else hidden(value)
            for name, value in data.items()
        }
    if isinstance(data, list):
        return [hidden(item) for item in data]
    if isinstance(data, str):
        name, sign, _ = data.partition("=")
        return f"{name}={HIDDEN}" if sign and name.isidentifier() and SECRET_NAMES.search(name) else data
    return data


def turned(recipe: OffspotRecipe, document: str) -> OffspotRecipe:
    """The recipe with its document sealed, or opened."""
    return replace(recipe, document=document)


def _files(
    data: Mapping[str, Any], text: str
) -> tuple[tuple[FileSource, ...], tuple[tuple[str, bytes], ...]]:
    sources: list[FileSource] = []
    inline: list[tuple[str, bytes]] = []
    taken: set[str] = set()
    for field, item in _items(data, "files"):
        to = _path(item, field)
        if to in taken:
            raise InvalidInput(f"Two files go to {to}.", field=f"{field}.to")
        taken.add(to)
        content = str(item.get("content") or "").strip()  # as image-creator does
        if content:
            inline.append((to, _inline(item, content, field)))
        else:
            sources.append(_fetched(item, to, field))
    if data.get("write_config"):
        inline.append((WRITTEN_CONFIG, text.strip().encode()))
    return tuple(sources), tuple(inline)


def _fetched(item: Mapping[str, Any], to: str, field: str) -> FileSource:
    via = item.get("via") or DIRECT
    if via != DIRECT and via not in ARCHIVES:
        known = ", ".join((DIRECT, *ARCHIVES))
        raise InvalidInput(
            f"Files can't come via {via!r}.", hint=f"There are: {known}.", field=f"{field}.via"
        )
    size = _size(item.get("size"), f"{field}.size", unknown=-1)
    if via not in (DIRECT, "tar") and size is None:
        raise InvalidInput(
            "How much is in the archive must be told.",
            hint="size: bytes of all its files.",
            field=f"{field}.size",
        )
    sha256, sha256_url = _checksum(item, field)
    return FileSource(field, to, _address(item, f"{field}.url"), via, size, sha256, sha256_url)


def _inline(item: Mapping[str, Any], content: str, field: str) -> bytes:
    via = item.get("via") or DIRECT
    if via == DIRECT:
        return content.encode()
    if via != _BASE64:
        raise InvalidInput("What is in the file itself comes direct or via base64.", field=f"{field}.via")
    try:
        return base64.b64decode(content, validate=False)
    except binascii.Error as error:
        raise InvalidInput("This is no base64.", field=f"{field}.content") from error


def _images(data: Mapping[str, Any]) -> Iterator[FileSource]:
    for field, item in _items(data, "oci_images"):
        ident = _text(item, "ident", f"{field}.ident")
        if not item.get("url"):
            raise InvalidInput(
                f"The container image {ident} has no address of its exported tar file.",
                hint="Cardshop asks no registry: export the image, and say url: where it can be fetched.",
                field=f"{field}.url",
            )
        name = re.sub(r"[^\w.-]+", "_", ident) + ".tar"
        url = _address(item, f"{field}.url")
        yield FileSource(field, f"{IMAGES}/{name}", url, DIRECT, None, None, None)


def _runtime(data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("offspot") is None:
        return {}
    return dict(_mapping(data, "offspot"))


def _checksum(item: Mapping[str, Any], field: str) -> tuple[str | None, str | None]:
    if item.get("checksum") is None:
        return None, None
    told = _mapping(item, "checksum", f"{field}.")
    _only_known(told, "checksum", f"{field}.checksum.")
    algorithm = told.get("algo")
    if algorithm not in _ALGORITHMS:
        raise InvalidInput(
            f"{algorithm!r} is no checksum.",
            hint=f"There are: {', '.join(_ALGORITHMS)}.",
            field=f"{field}.checksum.algo",
        )
    if algorithm != "sha-256":
        return None, None
    if told.get("kind", "digest") == "url":
        return None, _address(told, f"{field}.checksum.value", "value")
    value = _text(told, "value", f"{field}.checksum.value")
    if not _SHA256.fullmatch(value):
        raise InvalidInput("A SHA-256 has 64 hexadecimal digits.", field=f"{field}.checksum.value")
    return value.lower(), None


def _items(data: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    items = [] if data.get(name) is None else data[name]
    if not isinstance(items, list):
        raise InvalidInput(f"{name} is a list.", field=name)
    if len(items) > MOST_FILES:
        raise InvalidInput(f"{name} has more than {MOST_FILES} entries.", field=name)
    for index, item in enumerate(items):
        field = f"{name}[{index}]"
        if not isinstance(item, Mapping):
            raise InvalidInput(f"{field} is a mapping.", field=field)
        _only_known(item, name, f"{field}.")
        yield field, item


def _only_known(item: Mapping[str, Any], kind: str, where: str) -> None:
    for name in item:
        if name not in _KNOWN[kind]:
            known = ", ".join(sorted(_KNOWN[kind]))
            raise InvalidInput(
                f"There is no field {where}{name}.", hint=f"There are: {known}.", field=f"{where}{name}"
            )


def _mapping(data: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    value = data.get(name)
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where}{name} is a mapping.", field=f"{where}{name}")
    return value


def _text(data: Mapping[str, Any], name: str, field: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{field} is a text.", field=field)
    return value.strip()


def _path(item: Mapping[str, Any], field: str) -> str:
    to = _text(item, "to", f"{field}.to")
    names = to.removeprefix(f"{DATA}/").split("/")
    if not to.startswith(f"{DATA}/") or any(name in ("", ".", "..") for name in names):
        raise InvalidInput(f"{to} is no path below {DATA}.", field=f"{field}.to")
    if not to.isprintable() or any(len(name.encode(errors="replace")) > 255 for name in names):
        raise InvalidInput(f"{to!r} can't be a file's name on the card.", field=f"{field}.to")
    return to


def _address(item: Mapping[str, Any], field: str, name: str = "url") -> str:
    url = _text(item, name, field)
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidInput(f"{url} is no http or https address.", field=field)
    if parts.username or parts.password:
        raise InvalidInput("The address has a password in it.", hint="Everybody would see it.", field=field)
    return url


def _size(value: Any, field: str, *, unknown: int | None = None) -> int | None:
    if value is None or value in ("auto", unknown):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    told = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if told is None:
        raise InvalidInput(f"{value!r} is no size.", hint="For example 500, 8GB, 2.5 GiB.", field=field)
    step = 1024 if told[3] else 1000
    return int(float(told[1]) * step ** _POWERS[told[2].lower()])
