"""Fetches contents over HTTP into the cache: from several mirrors at once, resumed where it stopped.

Where the content's metalink tells the checksums of its pieces, each is checked as it comes and a wrong one is
fetched again, from another mirror. The whole file is checked always, by the SHA-256 that was ordered.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from cardshop.contract.errors import CardshopError, ContentDamaged, MirrorRefused
from cardshop.contract.tasks import Content
from cardshop.metalink import Pieces, read_metalink
from creator.board import Board
from creator.cache import Cache
from creator.mirrors import Mirror, Web
from creator.part_file import PartFile

MIRRORS_AT_ONCE = 4
WRONG_PIECES = 3
"""A mirror that sent so many is left."""

_TELL_SECONDS = 0.5

log = structlog.get_logger(__name__)

Observe = Callable[[int, int], None]
"""Called with bytes done, bytes in all."""

Check = Callable[[Path], None]
"""Looks at a fetched file before it is believed; raises ContentDamaged."""


def fetch(content: Content, cache: Cache, web: Web, observe: Observe, check: Check) -> Path:
    """The content's file in the cache, fetched if it wasn't there.

    Args:
        content: its addresses, size and SHA-256.
        cache: where it goes.
        web: what may be asked, and how long is waited.
        observe: called as it grows.
        check: a last look at the file whose SHA-256 is right, before it is kept.

    Raises:
        ContentDamaged: every mirror that answered has other bytes, or ``check`` found it unsound.
        MirrorRefused: no mirror delivers, or none may be fetched from.
        OSError: there is no room for it (ENOSPC).
    """
    with cache.alone(content.sha256):
        final = cache.path(content.sha256)
        if cache.has(content.sha256, content.size_bytes):
            observe(content.size_bytes, content.size_bytes)
            return final
        _bring(content, cache, web, observe)
        try:
            check(cache.part(content.sha256))
        except ContentDamaged:
            cache.drop(content.sha256)
            raise
        return cache.keep(content.sha256)


def _bring(content: Content, cache: Cache, web: Web, observe: Observe) -> None:
    """Leaves the part whole and of the right SHA-256, or raises."""
    urls = (content.url, *content.mirrors)
    pieces = _told_pieces(content, web)
    with PartFile(cache.part(content.sha256), content.size_bytes, pieces) as part:
        had = part.bytes_there
        try:
            if _download(part, content, urls, web, observe):
                return
        except BaseException:
            if not part.bytes_there:
                cache.drop(content.sha256)  # room that was taken for nothing
            raise
        if pieces is not None and part.forget_wrong() and _download(part, content, urls, web, observe):
            return
        # Who sent the wrong bytes is not known, or the pieces' checksums lie: each mirror for itself.
        log.warning("wrong bytes, asking each mirror alone", content=content.ident)
        part.pieces = None
        for url in urls if had or len(urls) > 1 else ():
            part.forget_all()
            try:
                if _download(part, content, [url], web, observe):
                    return
            except (MirrorRefused, ContentDamaged) as error:
                log.warning("mirror failed", content=content.ident, why=error.sentence)
    cache.drop(content.sha256)
    raise _other_bytes(content, "Each mirror")


def _told_pieces(content: Content, web: Web) -> Pieces | None:
    if content.metalink is None:
        return None
    mirror = Mirror(content.metalink, content, web)
    try:
        told = read_metalink(mirror.document(), url=content.metalink)
    except MirrorRefused as error:
        log.info("no checksums of pieces", content=content.ident, why=error.sentence)
        return None
    finally:
        mirror.close()
    is_it = (told.sha256, told.size_bytes) == (content.sha256, content.size_bytes)
    return told.pieces if is_it else None


def _download(part: PartFile, content: Content, urls: Sequence[str], web: Web, observe: Observe) -> bool:
    """Fetches what is missing; whether the whole then has the SHA-256 that it must have.

    Raises:
        ContentDamaged, MirrorRefused: something is missing still, and no mirror is left.
    """
    digest, hashed = hashlib.sha256(), 0
    observe(part.bytes_there, part.size)
    with _mirrors_at_work(part, content, urls, web) as (board, problems):
        going_on = True
        while going_on:
            going_on = board.wait(_TELL_SECONDS)
            while hashed < part.count and part.is_there(hashed):
                digest.update(part.read(hashed))
                hashed += 1
            observe(part.bytes_there, part.size)
            for problem in problems:
                if not isinstance(problem, CardshopError):
                    raise problem
    if not part.is_whole:
        raise next((item for item in problems if isinstance(item, ContentDamaged)), problems[-1])
    return digest.hexdigest() == content.sha256


@contextmanager
def _mirrors_at_work(
    part: PartFile, content: Content, urls: Sequence[str], web: Web
) -> Iterator[tuple[Board, list[Exception]]]:
    """Threads that fetch until the part is whole or they can't; none is left afterwards."""
    at_once = min(MIRRORS_AT_ONCE, len(urls))
    board, problems = Board(part, len(urls)), list[Exception]()
    mirrors = [Mirror(url, content, web) for url in urls]
    waiting = iter(enumerate(mirrors))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                numbered = next(waiting, None)
            if numbered is None:
                return
            try:
                _fetch_from(*numbered, part, board)
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                problems.append(error)
                log.warning("mirror failed", content=content.ident, why=str(error))
            finally:
                board.give_back(numbered[0])
                board.leave()

    threads = [threading.Thread(target=work, name=f"mirror {number}") for number in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        yield board, problems
    finally:
        board.close()
        for mirror in mirrors:
            mirror.stop()
        for thread in threads:
            thread.join()
        for mirror in mirrors:
            mirror.close()


def _fetch_from(number: int, mirror: Mirror, part: PartFile, board: Board) -> None:
    """Brings pieces from one mirror, as long as it makes progress.

    Raises:
        MirrorRefused, ContentDamaged: it is of no more use.
    """
    cut = _Cut(part)
    wrong = 0
    while (run := board.take(number)) is not None:
        had = part.bytes_there + cut.begin_at(run[0])
        try:
            for offset, data in mirror.read(cut.offset, part.start(run[1])):
                for index, piece in cut.add(offset, data):
                    wrong += not board.put(number, index, piece)
                if wrong >= WRONG_PIECES:
                    raise _other_bytes(mirror.content, mirror.host)
                if cut.is_at_end:
                    break
        except MirrorRefused:
            if part.bytes_there + cut.rest_bytes <= had:
                raise
        finally:
            board.give_back(number)
    if wrong:
        raise _other_bytes(mirror.content, mirror.host)


class _Cut:
    """Cuts what a mirror sends in pieces; what a broken connection leaves of one is gone on with."""

    def __init__(self, part: PartFile) -> None:
        self._part = part
        self._index = 0
        self._rest = bytearray()

    @property
    def rest_bytes(self) -> int:
        """What is there of a piece that isn't whole yet."""
        return len(self._rest)

    @property
    def offset(self) -> int:
        """The next byte that is wanted."""
        return self._part.start(self._index) + len(self._rest)

    @property
    def is_at_end(self) -> bool:
        """The content's last piece was cut."""
        return self._index == self._part.count

    def begin_at(self, index: int) -> int:
        """Goes to a piece; how much of it is there already."""
        if index != self._index:
            self._index, self._rest = index, bytearray()
        return len(self._rest)

    def add(self, offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The pieces that ``data`` completes."""
        if offset != self.offset:  # the mirror knows no ranges and sends from the start
            self.begin_at(-1)
            self.begin_at(0)
        self._rest += data
        while not self.is_at_end:
            length = self._part.start(self._index + 1) - self._part.start(self._index)
            if len(self._rest) < length:
                return
            yield self._index, bytes(self._rest[:length])
            del self._rest[:length]
            self._index += 1


def _other_bytes(content: Content, who: str) -> ContentDamaged:
    return ContentDamaged(
        f"{who} has other bytes for {content.title} than the catalogue says.",
        hint="Refresh the catalogue and order again, or tell the publisher.",
        field=content.ident,
    )
