"""The composed system, built and started once for these tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.containers.composed import REPOSITORY, Composed, installed
from tests.containers.daemon import Docker, docker
from tests.containers.images import base_image, mongod_image
from tests.tiny_base import make_tiny_base

OWN_DAEMON = REPOSITORY / "var" / "containers" / "docker"
"""Images stay there, so that a second run builds only what has changed."""


WRITER_IMAGE = "cardshop-test/writer"
BUILD_SECONDS = 1800


@pytest.fixture(scope="session")
def engine() -> Iterator[Docker]:
    """The Docker daemon, one for all tests: two on a machine would give out the same addresses."""
    with docker(OWN_DAEMON) as found:
        if found is None or not installed():
            missing("Docker")
        assert found
        yield found


@pytest.fixture(scope="module")
def daemon(engine: Docker) -> Iterator[Docker]:
    """The daemon with the writer's image, for Docker's library too."""
    base = os.environ.get("CARDSHOP_BASE") or base_image(engine)
    words = ["build", "--quiet", "--build-arg", f"BASE={base}", "--tag", WRITER_IMAGE]
    engine.run(*words, "--file", REPOSITORY / "writer" / "Dockerfile", REPOSITORY, timeout=BUILD_SECONDS)
    with pytest.MonkeyPatch.context() as patch:
        if "DOCKER_HOST" in engine.environment:
            patch.setenv("DOCKER_HOST", engine.environment["DOCKER_HOST"])
        yield engine


@pytest.fixture(scope="session")
def composed(engine: Docker) -> Iterator[Composed]:
    """All services in containers, up. Base images: ``CARDSHOP_BASE`` and ``CARDSHOP_MONGO``, else our own."""
    with tempfile.TemporaryDirectory(prefix="cardshop-composed-") as scratch:
        images = {
            "CARDSHOP_BASE": os.environ.get("CARDSHOP_BASE") or base_image(engine),
            "CARDSHOP_MONGO": os.environ.get("CARDSHOP_MONGO") or mongod_image(engine),
        }
        root = Path(scratch)
        root.chmod(0o755)  # users inside of the containers look in
        running = Composed(engine, root, images, make_tiny_base(root / "bases"))
        running.build()
        try:
            running.up()
            yield running
        finally:
            running.down()
