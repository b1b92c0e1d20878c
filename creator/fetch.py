"""Fetches contents over HTTP into the cache: resumed where they stopped, checked before they are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import requests
import structlog

from cardshop.contract.errors import CardshopError, ContentDamaged, MirrorRefused
from cardshop.contract.tasks import Content
from creator.cache import Cache

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
"""A mirror that sends nothing for this long is left for the next."""

REDIRECTS = 5
TRIES = 5
"""How often one mirror is asked for a content; more than once only when that can help."""

_PIECE_BYTES = 64 * 1024
"""Read at once; as much is asked for again when a connection breaks."""
_REDIRECTED = {301, 302, 303, 307, 308}

log = structlog.get_logger(__name__)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def fetch(content: Content, cache: Cache, web: requests.Session, observe: Callable[[int, int], None]) -> Path:
    """The content's file in the cache, fetched if it wasn't there.

    Args:
        content: its addresses, size and SHA-256.
        cache: where it goes.
        web: the session to fetch with, see :func:`cardshop.addresses.session`.
        observe: called with bytes done, bytes in all.

    Raises:
        ContentDamaged: every mirror that answered has other bytes.
        MirrorRefused: no mirror delivers, or none may be fetched from.
    """
    with cache.alone(content.sha256):
        final = cache.path(content.sha256)
        if final.exists():
            observe(content.size_bytes, content.size_bytes)
            return final
        problem: CardshopError = MirrorRefused(f"{content.title} has no address.", field=content.ident)
        for url in (content.url, *content.mirrors):
            try:
                return _fetch_from_mirror(url, content, cache, web, observe)
            except (MirrorRefused, ContentDamaged) as error:
                log.warning("mirror failed", content=content.ident, why=error.sentence)
                problem = error
        raise problem


def _fetch_from_mirror(
    url: str, content: Content, cache: Cache, web: requests.Session, observe: Callable[[int, int], None]
) -> Path:
    """Asks one mirror, again while that can help: it got further, or the wrong bytes began with another's."""
    for tries_left in reversed(range(TRIES)):
        before = cache.part_bytes(content.sha256)
        try:
            _fetch_from(url, content, cache.part(content.sha256), web, observe)
            return cache.keep(content.sha256)
        except MirrorRefused:
            if not tries_left or cache.part_bytes(content.sha256) <= before:
                raise
        except ContentDamaged:
            cache.drop(content.sha256)
            if not (tries_left and before):
                raise
    raise AssertionError("the last try returns or raises")


def _fetch_from(
    url: str, content: Content, part: Path, web: requests.Session, observe: Callable[[int, int], None]
) -> None:
    digest = hashlib.sha256()
    with part.open("ab+") as target:
        target.seek(0)
        done = _hash_again(target.read, digest)
        if done < content.size_bytes:
            with _ask(url, done, web, content) as answer:
                if answer.status_code == requests.codes.ok and done:  # it doesn't know ranges
                    target.truncate(0)
                    digest, done = hashlib.sha256(), 0
                for piece in _pieces(answer):
                    done += len(piece)
                    if done > content.size_bytes:
                        break
                    target.write(piece)
                    digest.update(piece)
                    observe(done, content.size_bytes)
    if done < content.size_bytes:
        raise MirrorRefused(
            f"{_host(url)} stopped sending {content.title} after {done} of {content.size_bytes} bytes.",
            field=content.ident,
        )
    if done > content.size_bytes or digest.hexdigest() != content.sha256:
        raise ContentDamaged(
            f"{_host(url)} has other bytes for {content.title} than the catalogue says.",
            hint="Refresh the catalogue and order again, or tell the publisher.",
            field=content.ident,
        )


def _hash_again(read: Callable[[int], bytes], digest: _Hash) -> int:
    done = 0
    while piece := read(_PIECE_BYTES):
        digest.update(piece)
        done += len(piece)
    return done


def _ask(url: str, start: int, web: requests.Session, content: Content) -> requests.Response:
    """Asks for the bytes from ``start`` on; follows redirects, each looked at like the first address."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    address = url
    for _ in range(REDIRECTS + 1):
        if urlsplit(address).scheme not in ("http", "https"):
            raise MirrorRefused(f"{_host(url)} is no http or https address.", field=content.ident)
        try:
            answer = web.get(
                address,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_SECONDS, STALL_SECONDS),
            )
        except (requests.RequestException, OSError, ValueError) as error:
            raise MirrorRefused(f"{_host(url)} does not answer.", field=content.ident) from error
        if answer.status_code not in _REDIRECTED:
            break
        answer.close()
        address = urljoin(address, answer.headers.get("Location", ""))
    if answer.status_code == requests.codes.ok or (start and _continues(answer, start)):
        return answer
    answer.close()
    raise MirrorRefused(
        f"{_host(url)} answered {answer.status_code} for {content.title}.", field=content.ident
    )


def _continues(answer: requests.Response, start: int) -> bool:
    told = answer.headers.get("Content-Range", "")
    return answer.status_code == requests.codes.partial_content and told.startswith(f"bytes {start}-")


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """The bytes that come; fewer than announced when the connection breaks."""
    try:
        yield from answer.iter_content(_PIECE_BYTES)
    except (requests.RequestException, OSError) as error:
        log.info("connection broke", why=type(error).__name__)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "The address"
