"""What is in an image, as a software bill of materials: its base's packages, and its contents."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cardshop.contract.errors import ImageDamaged
from cardshop.contract.tasks import Content
from cardshop.image_format import SBOM_SUFFIX
from creator.base.bill import bill
from creator.image.base_image import BaseImage


def image_bill(digest: str, base: BaseImage, contents: tuple[Content, ...]) -> bytes:
    """The bill of the image ``digest``; the same arguments give the same bytes.

    Raises:
        ImageDamaged: the base image's own bill is missing or was changed.
    """
    own, packages = _of_base(base)
    subject = {"type": "firmware", "bom-ref": digest, "name": "cardshop-image", "version": digest}
    components = [own, *packages, *(_content_component(content) for content in contents)]
    return bill(subject, components, base.built_at)


def _of_base(base: BaseImage) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The base image as a component, and its packages; one that came without a list has none."""
    manifest = base.manifest
    alone = {
        "type": "operating-system",
        "bom-ref": manifest.name,
        "name": manifest.name,
        "version": manifest.release,
        "hashes": [{"alg": "SHA-256", "content": manifest.sha256}],
    }
    if manifest.sbom_sha256 is None:
        return alone, []
    file = bill_of(base.image)
    try:
        document = file.read_bytes()
    except FileNotFoundError:
        document = b""
    if hashlib.sha256(document).hexdigest() != manifest.sbom_sha256:
        raise ImageDamaged(
            f"{file.name}, the list of the base image's packages, is missing or was changed.",
            hint="Build the base image again, or copy it to this creator with all its files.",
        )
    listed = json.loads(document)
    return listed["metadata"]["component"], listed["components"]


def bill_of(image: Path) -> Path:
    """Where the bill of a base image lies."""
    return image.with_name(image.name.removesuffix(".img") + SBOM_SUFFIX)


def _content_component(content: Content) -> dict[str, Any]:
    """A ZIM file; without its addresses, which may be others when the same image is built again."""
    return {
        "type": "data",
        "bom-ref": f"content:{content.file}",
        "name": content.ident,
        "version": content.sha256[:12],
        "description": content.title,
        "hashes": [{"alg": "SHA-256", "content": content.sha256}],
        "properties": [
            {"name": "cardshop:file", "value": content.file},
            {"name": "cardshop:bytes", "value": str(content.size_bytes)},
            {"name": "cardshop:language", "value": content.language},
        ],
    }
