"""Images on the real base images that ``make base-amd64`` and ``make base-arm64`` leave in ``var/bases``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cardshop.contract.tasks import BaseReference
from cardshop.fit import ALIGNMENT, MIB, layout
from creator.build import build
from creator.plan import BuiltImage, ImagePlan, Places
from tests.conftest import missing
from tests.image_plans import WEB, make_content
from tests.mirror import serve_mirror
from tests.zims import make_zim

BASES = Path(__file__).parents[2] / "var" / "bases"

CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "name": "Bibliothèque",
    "hostname": "library",
    "domain": "hotspot",
    "ssid": "École « du » fleuve",
    "wifi_passphrase": "reading-is-free",
    "language": "en",
    "timezone": "Africa/Bamako",
    "admin_account": None,
    "contents": [],
}
"""What first boot reads; an ordered card's, in all that a virtual machine can show."""

ZIMS = ("plain.zim", "Été à l'école.zim")


def base_facts(architecture: str) -> dict[str, Any]:
    """The manifest of the real base image; ends the test where there is none."""
    record = BASES / f"cardshop-{architecture}.json"
    if not record.is_file():
        missing(f"The base image of {architecture} (make base-{architecture})")
    facts: dict[str, Any] = json.loads(record.read_text())
    return facts


def build_card(folder: Path, architecture: str, **configuration: Any) -> tuple[BuiltImage, int]:
    """Builds an image with :data:`ZIMS` on the real base; with it, where its data partition begins."""
    facts = base_facts(architecture)
    places = Places(BASES, folder / "cache", folder / "work", WEB)
    size = -(-(facts["bytes"] + 128 * MIB) // ALIGNMENT) * ALIGNMENT
    with serve_mirror() as mirror:
        contents = [
            make_content(mirror, name, make_zim(folder / name, f"About {name}").read_bytes()) for name in ZIMS
        ]
        plan = ImagePlan(
            hashlib.sha256(repr(contents).encode()).hexdigest(),
            size,
            BaseReference(facts["name"], facts["sha256"]),
            tuple(contents),
            CONFIGURATION | configuration,
        )
        built = build(plan, places, lambda *_: None)
    return built, layout(size, facts["root_bytes"]).data_offset
