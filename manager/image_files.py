"""Files beside an image that people look at, fetched from the warehouse with a token that the user may have.

The browser gets them from us: it speaks no FTPS, and doesn't know our private CA.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from cardshop.contract.errors import NotFound
from cardshop.image_format import PICTURE_SUFFIX, SBOM_SUFFIX
from cardshop.transfer.session import Session

SECONDS = 20.0
"""That the warehouse may stay silent."""

SHOWN = {
    f"portal{PICTURE_SUFFIX}": (PICTURE_SUFFIX, "image/png"),
    f"contents{SBOM_SUFFIX}": (SBOM_SUFFIX, "application/vnd.cyclonedx+json"),
}
"""What a page names, and the file's suffix and content type."""


def image_file(token: dict[str, Any], shown: str, ca_file: Path) -> tuple[bytes, str]:
    """The bytes of a file beside an image, and their content type.

    Args:
        token: the API's answer to a request for the image's download token.
        shown: which file, a key of :data:`SHOWN`.
        ca_file: PEM of the private CA.

    Raises:
        NotFound: the image has no such file.
        Unavailable: the warehouse does not answer.
    """
    suffix, kind = SHOWN[shown]
    name = next((name for name in token["files"] if name.endswith(suffix)), None)
    if name is None:
        raise NotFound(
            "The image has no such file.", hint="It was not tried, or built before there were any."
        )
    context = ssl.create_default_context(cafile=str(ca_file))
    session = Session(token["host"], token["port"], context, token["token"], SECONDS)
    try:
        with session.receiving(name) as incoming:
            return incoming.rest(), kind
    finally:
        session.drop()
