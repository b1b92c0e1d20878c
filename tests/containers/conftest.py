"""The composed system, built and started once for these tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.containers.composed import REPOSITORY, Composed, installed
from tests.containers.daemon import docker
from tests.containers.images import base_image, mongod_image
from tests.tiny_base import make_tiny_base

OWN_DAEMON = REPOSITORY / "var" / "containers" / "docker"
"""Images stay there, so that a second run builds only what has changed."""


@pytest.fixture(scope="session")
def composed() -> Iterator[Composed]:
    """All services in containers, up. Base images: ``CARDSHOP_BASE`` and ``CARDSHOP_MONGO``, else our own."""
    with docker(OWN_DAEMON) as daemon, tempfile.TemporaryDirectory(prefix="cardshop-composed-") as scratch:
        if daemon is None or not installed():
            missing("Docker")
        assert daemon
        images = {
            "CARDSHOP_BASE": os.environ.get("CARDSHOP_BASE") or base_image(daemon),
            "CARDSHOP_MONGO": os.environ.get("CARDSHOP_MONGO") or mongod_image(daemon),
        }
        root = Path(scratch)
        root.chmod(0o755)  # users inside of the containers look in
        running = Composed(daemon, root, images, make_tiny_base(root / "bases"))
        running.build()
        try:
            running.up()
            yield running
        finally:
            running.down()
