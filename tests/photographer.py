"""Pictures of the manager's pages, taken where ``--screenshots`` names a folder (make screenshots)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize

VIEW = ViewportSize(width=1180, height=860)
PAGE_HEIGHT = "document.documentElement.scrollHeight"
COLOURS = 256
"""Of a picture's palette: a page needs no more, and the file is a third of its size."""


class Photographer:
    """Takes pictures of a page.

    Args:
        page: what is photographed.
        folder: where pictures go; None takes none.
    """

    def __init__(self, page: Page, folder: Path | None) -> None:
        self._page = page
        self._folder = folder

    @property
    def at_work(self) -> bool:
        """Whether pictures are taken in this run."""
        return self._folder is not None

    def take(self, name: str, *, whole: bool = False) -> None:
        """``NAME.png`` of what the window shows, or of the whole page."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{name}.png"
        if whole:
            # Not full_page: what sticks to the window's foot would stand in the picture's middle.
            self._page.set_viewport_size(
                ViewportSize(width=VIEW["width"], height=self._page.evaluate(PAGE_HEIGHT))
            )
        self._page.screenshot(path=target, animations="disabled")
        self._page.set_viewport_size(VIEW)
        with Image.open(target) as picture:
            picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
