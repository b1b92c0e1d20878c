"""Offspot's image YAML in and out: its users' files become recipes here, recipes of ours files of theirs."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cardshop import metalink
from cardshop.contract.errors import InvalidInput, MirrorRefused
from cardshop.contract.tasks import DIRECT, Content
from scheduler.catalogue.web import Web
from scheduler.domain import offspot
from scheduler.domain.media import Medium
from scheduler.domain.offspot import FileSource, OffspotRecipe
from scheduler.domain.recipes import AUTO_SIZE, Recipe, ResolvedRecipe
from scheduler.store.bases import Base
from scheduler.store.store import Store
from scheduler.yaml_text import read_yaml, write_plain_yaml, write_yaml

ASKED_AT_ONCE = 8
SHA256_SUFFIX = ".sha256"

ZIMS = "/data/contents/zims"
"""Where Offspot's own configurations have ZIM files."""

KIWIX_IMAGE = {"ident": "ghcr.io/offspot/kiwix-serve:3.8.1", "filesize": 62136320, "fullsize": 62102478}
"""The container that serves them, with its sizes as offspot-config 2.9.2 tells them."""

BASE_SOURCE = "1.3.1"
ROOT_BYTES = 3_000_000_000
"""Offspot's base that an exported file names, and more than its root takes: image-creator counts with it."""

_VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {
    "hostname": "offspot.hostname",
    "domain": "offspot.ap.tld",
    "ssid": "offspot.ap.ssid",
    "wifi_password": "offspot.ap.passphrase",
    "timezone": "offspot.timezone",
}
"""Where a recipe's field stands in the YAML."""

_DEFAULTS = {"hostname": "kiwix", "ssid": "Kiwix Hotspot", "timezone": "UTC", "domain": "hotspot"}


def imported(store: Store, text: str, *, name: str, base: str | None) -> Recipe:
    """The recipe that an Offspot YAML describes; not checked by the rules yet, secrets in clear.

    Args:
        store: the shop.
        text: the YAML.
        name: the recipe's.
        base: the shop's base image that it is built on; None: the one that ``base.source`` names.

    Raises:
        InvalidInput: what can't be taken; ``field`` names it as the YAML does.
    """
    data = read_yaml(text, field="yaml", most_bytes=offspot.LARGEST_DOCUMENT_BYTES)
    told = offspot.read(data, text)
    ap = told.runtime.get("ap")
    point: dict[str, Any] = ap if isinstance(ap, dict) else {}
    return Recipe(
        name=name,
        hostname=str(told.runtime.get("hostname") or point.get("domain") or _DEFAULTS["hostname"]),
        domain=str(point.get("tld") or _DEFAULTS["domain"]),
        ssid=str(point.get("ssid") or _DEFAULTS["ssid"]),
        wifi_password=None if not point.get("passphrase") else str(point["passphrase"]),
        language="en",
        timezone=str(told.runtime.get("timezone") or _DEFAULTS["timezone"]),
        admin_account=None,
        base=_base(store.bases.every(), told.source, base),
        contents=(),
        size=_medium(store.media.every(), told.size),
        offspot=told.recipe(text),
    )


def exported(recipe: Recipe, resolved: ResolvedRecipe | None, document: str | None) -> str:
    """The Offspot YAML of a recipe, without its secrets: a Wi-Fi key is to be put in again.

    Args:
        recipe: the recipe.
        resolved: its contents pinned; None for one that came as a YAML.
        document: the YAML that it came as.

    Raises:
        InvalidInput: a field that Offspot's format can't say.
    """
    if document is not None:
        data = read_yaml(document, field="yaml", most_bytes=offspot.LARGEST_DOCUMENT_BYTES)
        if isinstance(data.get("offspot"), dict):
            data["offspot"] = offspot.hidden(data["offspot"])
        return _with_notes(write_yaml(data), [])
    if "." in recipe.domain:
        raise InvalidInput(
            f"Offspot's top-level domain is one label: {recipe.domain} is more.", field="domain"
        )
    contents = resolved.contents if resolved else ()
    files = [
        {
            "to": f"{ZIMS}/{content.file}",
            "url": content.url,
            "via": DIRECT,
            "size": content.size_bytes,
            "checksum": {"algo": "sha-256", "value": content.sha256},
        }
        for content in contents
    ]
    point: dict[str, Any] = {"ssid": recipe.ssid, "domain": recipe.hostname, "tld": recipe.domain}
    if recipe.wifi_password is not None:
        point["passphrase"] = offspot.HIDDEN
    kiwix = {
        "container_name": "kiwix",
        "image": KIWIX_IMAGE["ident"],
        "pull_policy": "never",
        "restart": "unless-stopped",
        "command": '/bin/sh -c "kiwix-serve /data/*.zim"',
        "volumes": [f"{ZIMS}:/data:ro"],
        "ports": ["80:80"],
    }
    data = {
        "base": {"source": BASE_SOURCE, "rootfs_size": ROOT_BYTES},
        "output": {"size": "auto" if recipe.size == AUTO_SIZE or resolved is None else resolved.size_bytes},
        "oci_images": [dict(KIWIX_IMAGE)],
        "files": files,
        "write_config": False,
        "offspot": {
            "timezone": recipe.timezone,
            "hostname": recipe.hostname,
            "ap": point,
            "containers": {"name": "offspot", "services": {"kiwix": kiwix}},
        },
    }
    left_out = []
    if recipe.language != "en":
        left_out.append(f"the language of the card's own pages, {recipe.language}")
    if recipe.admin_account:
        left_out.append(f"the account {recipe.admin_account.login}")
    return _with_notes(write_yaml(data), left_out)


def pinned(web: Web, recipe: OffspotRecipe) -> tuple[Content, ...]:
    """Its files with everything pinned that may change tomorrow.

    Raises:
        InvalidInput: a file's SHA-256 or size can't be known; ``field`` names it.
    """
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return tuple(pool.map(partial(_pinned, web), recipe.sources))


def configuration(document: str) -> dict[str, Any]:
    """What a creator gets with its claim: the runtime configuration and the files that are in the YAML."""
    data = read_yaml(document, field="yaml", most_bytes=offspot.LARGEST_DOCUMENT_BYTES)
    told = offspot.read(data, document)
    return {
        "version": 1,
        "offspot": {
            "runtime": write_plain_yaml(told.runtime) if told.runtime else "",
            "files": [
                {"to": path, "content": base64.b64encode(content).decode()} for path, content in told.inline
            ],
        },
    }


def _pinned(web: Web, source: FileSource) -> Content:
    url = source.url.removesuffix(metalink.SUFFIX)
    urls: tuple[str, ...]
    listed: str | None
    try:
        page = web.get(url + metalink.SUFFIX)
        file = metalink.read_metalink(page.body or b"", url=page.url)
    except MirrorRefused:
        sha256, size, urls, listed = _sha256(web, source, url), _bytes_at(web, source, url), (url,), None
    else:
        sha256, size, urls, listed = file.sha256, file.size_bytes, file.urls, url + metalink.SUFFIX
        if source.sha256 not in (None, sha256):
            raise InvalidInput(
                f"The file at {url} has another SHA-256: {sha256}.",
                hint="It was changed there, or the checksum is wrong.",
                field=f"{source.field}.checksum.value",
            )
    unpacked = None if source.via == DIRECT else source.size or size
    return Content(
        ident=source.field,
        title=source.to,
        language="",
        file=source.to,
        url=urls[0],
        mirrors=urls[1:],
        size_bytes=size,
        sha256=sha256,
        metalink=listed,
        via=source.via,
        unpacked_bytes=unpacked,
    )


def _sha256(web: Web, source: FileSource, url: str) -> str:
    if source.sha256:
        return source.sha256
    try:
        text = (web.get(source.sha256_url or url + SHA256_SUFFIX).body or b"").decode(errors="replace")
    except MirrorRefused:
        text = ""
    word = (text.split(maxsplit=1) or [""])[0].lower()
    if not _SHA256.fullmatch(word):
        raise InvalidInput(
            f"The SHA-256 of {url} can't be known.",
            hint="Add checksum: {algo: sha-256, value: …}, or take an address that has a metalink (.meta4).",
            field=f"{source.field}.checksum" if source.field.startswith("files") else f"{source.field}.url",
        )
    return word


def _bytes_at(web: Web, source: FileSource, url: str) -> int:
    try:
        return web.size(url)
    except MirrorRefused as error:
        raise InvalidInput(error.sentence, field=f"{source.field}.url") from error


def named_as_given(error: InvalidInput) -> InvalidInput:
    """The error with its field as the YAML has it."""
    field = _FIELDS.get(error.field or "", error.field)
    return InvalidInput(error.sentence, hint=error.hint, field=field)


def _base(bases: Sequence[Base], source: str, wanted: str | None) -> str:
    fitting = [base.name for base in bases if base.system == offspot.SYSTEM]
    known = f"There are: {', '.join(fitting)}." if fitting else "An admin takes one in: see docs/offspot.md."
    if wanted is not None:
        if wanted not in fitting:
            raise InvalidInput(f"The shop has no Offspot base image {wanted}.", hint=known, field="base")
        return wanted
    stem = source.rpartition("/")[2].removesuffix(".xz").removesuffix(".img")
    for name in fitting:
        if name == stem or (_VERSION.fullmatch(stem) and stem in _VERSION.findall(name.replace("-", " "))):
            return name
    raise InvalidInput(
        f"The shop has no Offspot base image for {source}.",
        hint=f"Say which of the shop's is meant. {known}",
        field="base.source",
    )


def _medium(media: Sequence[Medium], size: int | None) -> str:
    if size is None:
        return AUTO_SIZE
    for medium in media:
        if size in (medium.size_bytes, medium.nominal_bytes):
            return medium.name
    known = ", ".join(medium.name for medium in media)
    raise InvalidInput(
        f"The shop has no medium of {size:,} bytes.",
        hint=f"Say auto, or one of: {known}.",
        field="output.size",
    )


def _with_notes(text: str, left_out: Sequence[str]) -> str:
    notes = ["---", "# Offspot image YAML, exported from Cardshop."]
    if f"passphrase: '{offspot.HIDDEN}'" in text or f"passphrase: {offspot.HIDDEN}" in text:
        notes.append("# Secrets are not exported: put the Wi-Fi key in again, at offspot.ap.passphrase.")
    notes += [f"# Not in this format: {item}." for item in left_out]
    return "\n".join([*notes, text])
