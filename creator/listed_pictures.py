"""The picture that a catalogue shows of a content, for the portal where the ZIM file itself has none.

It is no part of what was ordered: the recipe's digest doesn't have it, and a build goes on without it when
the catalogue's server is away.
"""

from __future__ import annotations

import structlog

from cardshop.contract.errors import MirrorRefused
from cardshop.contract.tasks import Content
from cardshop.image_format import PNG
from creator.books import ILLUSTRATION_LIMIT
from creator.mirrors import Mirror, Web

log = structlog.get_logger(__name__)


def listed_picture(content: Content, web: Web) -> bytes | None:
    """A small PNG; None when the catalogue has none, or does not give it."""
    if content.illustration is None:
        return None
    mirror = Mirror(content.illustration, content, web)
    try:
        picture = mirror.document(ILLUSTRATION_LIMIT)
    except MirrorRefused as error:
        log.info("no picture of the catalogue", content=content.ident, why=error.sentence)
        return None
    finally:
        mirror.close()
    return picture if picture.startswith(PNG) else None
