"""What a plan puts on a card beside its base: our own kind of card, or an Offspot recipe's."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardshop.contract.errors import InvalidInput, MessageRejected
from cardshop.contract.tasks import ARCHIVES, DIRECT, Content
from cardshop.fit import BLOCK_BYTES, shelf_bytes
from creator.books import read_books
from creator.image.assemble import Card
from creator.image.base_data import data_offset, disk_id, read_tree
from creator.image.base_image import BaseImage
from creator.image.library import make_library
from creator.image.tree import File, Folder, Link, Tree, content_file
from creator.plan import ImagePlan
from creator.portal.branding import FIELD as BRANDING
from creator.portal.page import make_portal
from creator.unpack import unpack

FOLDER = "/contents"
"""Where our own cards have their ZIM files on the data partition."""

LIBRARY = f"{FOLDER}/library.xml"
PORTAL = "/portal"
CONFIGURATION = "cardshop/recipe.json"
"""What our own base's first boot reads on the boot partition."""

OFFSPOT_CONFIGURATION = "offspot.yaml"
"""What an Offspot base's first boot reads there."""

DATA = "/data"
"""Where an Offspot base has its data partition: the paths of its recipes begin with it."""

IMAGES = "/images"
"""Container images that an Offspot base loads when it starts."""

_DISK_ID_DIGITS = 8
_ENTRY_BYTES = 32  # of a name in the portal's folder


@dataclass(frozen=True)
class OffspotConfiguration:
    """The part of an Offspot recipe that comes with the claim, for it may hold secrets."""

    runtime: str  # text of offspot.yaml; empty: the base's own stays
    files: tuple[tuple[str, bytes], ...]  # path under /data, and what is in it

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> OffspotConfiguration | None:
        """Reads a card configuration; None: it is one of ours.

        Raises:
            MessageRejected: it is neither.
        """
        told = configuration.get("offspot")
        if told is None:
            return None
        try:
            files = tuple(
                (str(file["to"]), base64.b64decode(file["content"], validate=True)) for file in told["files"]
            )
            return cls(str(told["runtime"]), files)
        except (KeyError, TypeError, binascii.Error) as error:
            raise MessageRejected("The Offspot configuration can't be read.", field="offspot") from error


def card_of(plan: ImagePlan, base: BaseImage, files: Sequence[Path], scratch: Path) -> Card:
    """What goes on the card.

    Args:
        plan: the image to build.
        base: its base.
        files: the contents' files, as the plan names them.
        scratch: a folder of this build, for what is unpacked.

    Raises:
        ContentDamaged: an archive or a ZIM file isn't sound.
        ImageDamaged: the base's data partition can't be read.
        InvalidInput: a path can't be, or the base is of another kind than the recipe.
    """
    offspot = OffspotConfiguration.of(plan.card_configuration)
    if offspot is None:
        return _own_card(plan, files)
    return _offspot_card(plan, offspot, base, files, scratch)


def is_offspot(plan: ImagePlan) -> bool:
    """Whether the plan is of an Offspot recipe."""
    return OffspotConfiguration.of(plan.card_configuration) is not None


def inline_bytes(plan: ImagePlan) -> tuple[int, ...]:
    """Sizes of the files that came with an Offspot recipe's configuration."""
    offspot = OffspotConfiguration.of(plan.card_configuration)
    return tuple(len(content) for _, content in offspot.files) if offspot else ()


def check_plan(plan: ImagePlan, base: BaseImage) -> None:
    """Says what is wrong before anything is fetched.

    Raises:
        InvalidInput: a file can't have its name, or the base is of another kind than the recipe.
    """
    if is_offspot(plan) != (data_offset(base.image) is not None):
        wanted = "an Offspot base" if is_offspot(plan) else "a base of Cardshop's own"
        raise InvalidInput(
            f"The base image {base.manifest.name} is of the wrong kind for this recipe.",
            hint=f"Choose {wanted}.",
            field="base",
        )
    tree = Tree()
    taken = set() if is_offspot(plan) else {LIBRARY}
    for content in plan.contents:
        path = _on_data(content.file, content.ident) if is_offspot(plan) else _own_path(content)
        if path in taken:
            raise InvalidInput(f"Two files are to be {content.file}; a card holds one.", field=content.ident)
        taken.add(path)
        tree.add(content_file(path, b"", content.ident), content.ident)


def _own_card(plan: ImagePlan, files: Sequence[Path]) -> Card:
    contents = tuple(zip(plan.contents, files, strict=True))
    books = read_books(contents)
    portal = make_portal(plan.card_configuration, books)
    tree = Tree()
    tree.add(content_file(LIBRARY, _filled_up(make_library(books), portal, len(books)), ""), "")
    for name, page in sorted(portal.items()):
        tree.add(content_file(f"{PORTAL}/{name}", page, ""), "")
    for content, path in contents:
        tree.add(File(_own_path(content), path, content.sha256, content.ident), content.ident)
    first_boot = {name: told for name, told in plan.card_configuration.items() if name != BRANDING}
    text = json.dumps(first_boot, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    label = int(plan.digest[:_DISK_ID_DIGITS], 16) or 1
    return Card(label, CONFIGURATION, text.encode(), tree)


def _filled_up(library: bytes, portal: Mapping[str, bytes], contents: int) -> bytes:
    """The library with so many empty lines that it and the portal take what the forecast counted."""
    blocks = sum(-(-len(content) // BLOCK_BYTES) for content in portal.values())
    blocks += len(portal) * _ENTRY_BYTES // BLOCK_BYTES
    return library.ljust(shelf_bytes(contents) - blocks * BLOCK_BYTES, b"\n")


def _offspot_card(
    plan: ImagePlan, offspot: OffspotConfiguration, base: BaseImage, files: Sequence[Path], scratch: Path
) -> Card:
    tree = Tree()
    tree.update(read_tree(base.image, data_offset(base.image) or 0, scratch / "base"), "base")
    tree.add(Folder(IMAGES), "oci_images")
    for path, text in offspot.files:
        tree.add(content_file(_on_data(path, path), text, path), path)
    for number, (content, file) in enumerate(zip(plan.contents, files, strict=True)):
        tree.update(_brought(content, file, scratch / f"archive-{number}"), content.ident)
    runtime = offspot.runtime.encode() if offspot.runtime else None
    return Card(disk_id(base.image), OFFSPOT_CONFIGURATION, runtime, tree)


def _brought(content: Content, file: Path, scratch: Path) -> Sequence[File | Link | Folder]:
    path = _on_data(content.file, content.ident)
    if content.via == DIRECT:
        return [File(path, file, content.sha256, content.ident)]
    if content.via not in ARCHIVES:
        raise InvalidInput(f"This creator can't unpack {content.via}.", field=content.ident)
    return unpack(file, content.via, scratch, limit_bytes=content.card_bytes, path=path, ident=content.ident)


def _own_path(content: Content) -> str:
    if "/" in content.file:
        raise InvalidInput(f"{content.file!r} can't be a file's name on the card.", field=content.ident)
    return f"{FOLDER}/{content.file}"


def _on_data(path: str, ident: str) -> str:
    if not path.startswith(f"{DATA}/"):
        raise InvalidInput(f"{path} is not below {DATA}.", field=ident)
    return path.removeprefix(DATA)
