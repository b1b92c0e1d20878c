"""Fetches feeds and metalinks: from allowed addresses only, within a time and a size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from cardshop import addresses
from cardshop.contract.errors import MirrorRefused

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
WHOLE_SECONDS = 180.0
LARGEST_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Page:
    """A document that was fetched; ``None`` as body: it has not changed."""

    url: str  # after redirects
    body: bytes | None
    etag: str | None
    modified: str | None


class Web:
    """Fetches documents.

    Args:
        private_hosts: names and addresses that may be fetched from though they are not public.
    """

    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._private_hosts = private_hosts

    def get(self, url: str, *, etag: str | None = None, modified: str | None = None) -> Page:
        """The document at ``url``, unless it still is the one of ``etag`` or ``modified``.

        Raises:
            MirrorRefused: the address may not be fetched, the server does not deliver, or too much.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise MirrorRefused(f"{url} is no http or https address.")
        headers = {"If-None-Match": etag, "If-Modified-Since": modified}
        try:
            with (
                addresses.session(self._private_hosts) as session,
                session.get(
                    url,
                    headers={name: value for name, value in headers.items() if value},
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    stream=True,
                ) as response,
            ):
                if response.status_code == requests.codes.not_modified:
                    return Page(response.url, None, etag, modified)
                if response.status_code != requests.codes.ok:
                    raise MirrorRefused(f"{url} answers with status {response.status_code}.")
                body = _read(response)
                return Page(
                    response.url, body, response.headers.get("ETag"), response.headers.get("Last-Modified")
                )
        except (requests.RequestException, OSError) as error:
            raise MirrorRefused(f"{url} can't be fetched ({type(error).__name__}).") from error

    def size(self, url: str) -> int:
        """Bytes of the file at ``url``, as its server tells them.

        Raises:
            MirrorRefused: the address may not be asked, or the server doesn't tell.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise MirrorRefused(f"{url} is no http or https address.")
        try:
            with (
                addresses.session(self._private_hosts) as session,
                session.get(
                    url,
                    headers={"Accept-Encoding": "identity"},
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    stream=True,
                ) as response,
            ):
                length = response.headers.get("Content-Length", "")
                if response.status_code != requests.codes.ok or not length.isdecimal():
                    raise MirrorRefused(f"{url} doesn't tell its size (status {response.status_code}).")
                return int(length)
        except (requests.RequestException, OSError) as error:
            raise MirrorRefused(f"{url} can't be asked ({type(error).__name__}).") from error


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    end = time.monotonic() + WHOLE_SECONDS
    for piece in response.iter_content(_PIECE_BYTES):
        body += piece
        if len(body) > LARGEST_BYTES or time.monotonic() > end:
            raise MirrorRefused(f"{response.url} sends too much, or too slowly.")
    return bytes(body)
