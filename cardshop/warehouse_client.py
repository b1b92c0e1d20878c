"""The way to the warehouse: an image up or down, a ZIM file onto its shelf, over connections that may break.

Errors are those of :mod:`cardshop.contract.errors`. A connection that breaks is made again, with growing
pauses, and the transfer goes on where it was, until nothing has moved for ``give_up_after`` seconds.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog
import tenacity

from cardshop.contract.errors import Unavailable
from cardshop.image_format import Manifest
from cardshop.transfer.download import Download
from cardshop.transfer.session import Session
from cardshop.transfer.shelving import ShelvedFile, Shelving, shelved_files
from cardshop.transfer.upload import Observe, Upload

LONGEST_PAUSE_SECONDS = 20.0
_log = structlog.get_logger("warehouse-client")


def never() -> bool:
    """The answer of work that can't be canceled from within: its process is ended instead."""
    return False


class Warehouse:
    """The warehouse as one token sees it: one image, one direction; or its shelf. For one thread.

    Args:
        host: name or address of the warehouse; its certificate must be good for it.
        port: of its control channel.
        ca_file: PEM of the private CA, which alone is trusted; None: the system's own authorities.
        token: from the scheduler, for one operation on one image, or for the shelf.
        timeout: seconds that a connection may stay silent before it counts as broken.
        give_up_after: seconds without any progress after which a transfer fails.
        clock: seconds, monotonic.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ca_file: Path | None,
        token: str,
        *,
        timeout: float = 60.0,
        give_up_after: float = 1800.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = (host, port)
        self._token = token
        self._timeout = timeout
        self._give_up_after = give_up_after
        self._clock = clock
        self._sleep = sleep
        self._tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._session: Session | None = None
        self._moved_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def upload(
        self, digest: str, folder: Path, observe: Observe, cancelled: Callable[[], bool] = never
    ) -> None:
        """Brings ``<digest>.json``, ``.bmap``, ``.img`` and what is beside them to the warehouse.

        What arrived before is not sent again; an image that the warehouse keeps already is a success.

        Raises:
            TaskCanceled: ``cancelled`` said so.
            ImageDamaged: the image file is not what its manifest says.
            Conflict: the warehouse keeps this image with another manifest.
            NotAuthenticated, NotAllowed: the token is not good for this.
            Unavailable: nothing moved for too long.
        """
        upload = Upload(digest, folder, self._observed(observe), cancelled, self._connect)
        self._keep_on(upload.go_on, cancelled)

    def download(
        self, digest: str, folder: Path, observe: Observe, cancelled: Callable[[], bool] = never
    ) -> Manifest:
        """Fetches ``<digest>.json``, ``.bmap`` and ``.img`` (sparse, every chunk checked) into ``folder``.

        Does nothing when they are there already. Other processes of this host that fetch into the same folder
        wait, or go on where this one ends.

        Returns:
            The image's manifest.

        Raises:
            TaskCanceled: ``cancelled`` said so.
            ImageDamaged: what the warehouse sends is not what the manifest says.
            NotFound: the warehouse does not keep the image.
            NotAuthenticated, NotAllowed: the token is not good for this.
            Unavailable: nothing moved for too long.
        """
        download = Download(digest, folder, self._observed(observe), cancelled)
        if not download.is_here:
            with download.ours():
                if not download.is_here:
                    self._keep_on(download.go_on, cancelled)
        return download.manifest()

    def shelve(self, file: Path, sha256: str, name: str, *, replace: bool, observe: Observe) -> None:
        """Brings a ZIM file onto the shelf; what arrived of it before is not sent again.

        Args:
            file: the file; it must not change meanwhile.
            sha256: of all of it.
            name: that it gets.
            replace: whether another file of that name is replaced.
            observe: is told the progress, in bytes.

        Raises:
            InvalidInput: it is no sound ZIM file or too large, or can't have its name; nothing of it stays.
            ContentDamaged: it did not arrive as it was sent, or it changed meanwhile.
            Conflict: another file has the name, or the shop has no shelf.
            NoSpace: the shelf's disk has too little room.
            NotAuthenticated, NotAllowed: the token is not good for this.
            Unavailable: nothing moved for too long.
        """
        shelving = Shelving(file, sha256, name, replace=replace, observe=self._observed(observe))
        self._keep_on(shelving.go_on, never)

    def shelf(self) -> list[ShelvedFile]:
        """What is on the shelf, by name. Raises Conflict: the shop has no shelf; others as above."""
        found: list[ShelvedFile] = []
        self._keep_on(lambda session: found.extend(shelved_files(session)), never)
        return found

    def take_off(self, name: str) -> None:
        """Deletes a file of the shelf. Raises NotFound; others as above."""
        self._keep_on(lambda session: session.delete(name), never)

    def _keep_on(self, go_on: Callable[[Session], None], cancelled: Callable[[], bool]) -> None:
        self._moved_at = self._clock()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=lambda _state: cancelled() or self._clock() - self._moved_at >= self._give_up_after,
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS),
            sleep=self._sleep,
            before_sleep=_tell,
            reraise=True,
        )
        retrying(self._try, go_on)

    def _try(self, go_on: Callable[[Session], None]) -> None:
        if self._session is None:
            self._session = self._connect()
        try:
            go_on(self._session)
        except BaseException:
            # In the middle of a transfer the two ends no longer agree on what comes next.
            self._session.drop()
            self._session = None
            raise

    def _connect(self) -> Session:
        return Session(*self._address, self._tls, self._token, self._timeout)

    def _observed(self, observe: Observe) -> Observe:
        furthest = -1

        def moved(done: int, total: int) -> None:
            nonlocal furthest
            if done > furthest:
                furthest = done
                self._moved_at = self._clock()
            observe(done, total)

        return moved


def _tell(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning("trying-again", attempt=state.attempt_number, reason=str(error))
