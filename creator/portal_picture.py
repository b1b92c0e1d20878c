"""A picture of the portal page of a card that runs: what its guests will see."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cardshop.contract.errors import ProgramFailed
from cardshop.image_format import PNG
from cardshop.programs import find, run
from cardshop.virtual_machine import LOOPBACK

BROWSER = "chromium"
WIDTH, HEIGHT = 1024, 768
SETTLE_MILLISECONDS = 20_000
"""Of the page's own time, which stands still while it waits for the emulated card."""

PICTURE_SECONDS = 180.0
LARGEST_BYTES = 4 * 1024 * 1024


def take_picture(address: str, port: int, picture: Path) -> str:
    """Takes a picture of the page at ``address``, whose host is reached at ``port`` of this machine.

    Returns:
        Why there is none, as a sentence; empty when there is one.
    """
    try:
        find(BROWSER)
    except ProgramFailed:
        return f"No picture of the portal page: {BROWSER} is not installed on this creator."
    with tempfile.TemporaryDirectory(dir=picture.parent, prefix=".browser-") as made:
        fresh = Path(made) / "picture.png"
        argv: list[str | Path] = [
            BROWSER, "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            f"--user-data-dir={made}/profile", f"--window-size={WIDTH},{HEIGHT}",
            f"--host-resolver-rules=MAP * {LOOPBACK}:{port}",  # no other host in the world
            f"--virtual-time-budget={SETTLE_MILLISECONDS}", f"--screenshot={fresh}",
        ]  # fmt: skip
        if os.geteuid() == 0:
            argv.append("--no-sandbox")  # which Chromium refuses to root; it opens the card's page only
        try:
            run([*argv, address], timeout=PICTURE_SECONDS, env=dict(os.environ) | {"HOME": made})
        except ProgramFailed as error:
            return f"No picture of the portal page: {error.sentence}"
        if not (fresh.is_file() and fresh.read_bytes().startswith(PNG)):
            return "No picture of the portal page: the browser took none."
        if fresh.stat().st_size > LARGEST_BYTES:
            return "No picture of the portal page: it is too large to keep."
        fresh.replace(picture)
    return ""
