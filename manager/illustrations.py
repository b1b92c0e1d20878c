"""Pictures of catalogue entries, fetched by the manager for the browser.

The pages load nothing from other sites, so that readers aren't seen by them and the pages work where only the
manager reaches the catalogue. An address comes from the browser signed by us: the manager fetches only what a
catalogue named, from that catalogue's own server.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from itsdangerous import BadSignature, URLSafeSerializer

from cardshop.contract.errors import NotFound, Unavailable

MAX_BYTES = 256 * 1024
SECONDS = 5.0
KINDS = {"image/png", "image/jpeg", "image/webp", "image/gif"}
"""No SVG: it can hold scripts."""


def ticket(secret_key: str, illustration_url: str | None, catalogue_url: str | None) -> str | None:
    """What the browser shows to get the picture; ``None`` for one that isn't fetched."""
    if not illustration_url or not catalogue_url or _origin(illustration_url) != _origin(catalogue_url):
        return None
    if urlsplit(illustration_url).scheme not in {"http", "https"}:
        return None
    return _serializer(secret_key).dumps(illustration_url)


def picture(secret_key: str, shown_ticket: str) -> tuple[bytes, str]:
    """The picture and its content type.

    Raises:
        NotFound: the ticket isn't ours, or there is no picture behind it.
        Unavailable: the catalogue's server doesn't answer.
    """
    try:
        url = _serializer(secret_key).loads(shown_ticket)
    except BadSignature:
        raise NotFound("There is no such picture.") from None
    try:
        with requests.get(url, timeout=SECONDS, allow_redirects=False, stream=True) as response:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if response.status_code != 200 or kind not in KINDS:
                raise NotFound("There is no such picture.")
            image = b"".join(_up_to(response, MAX_BYTES))
    except requests.RequestException as error:
        raise Unavailable("The catalogue's server does not answer.") from error
    return image, kind


def _up_to(response: requests.Response, limit: int) -> list[bytes]:
    pieces, count = [], 0
    for piece in response.iter_content(64 * 1024):
        count += len(piece)
        if count > limit:
            raise NotFound("The picture is too large.")
        pieces.append(piece)
    return pieces


def _serializer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="illustration")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
