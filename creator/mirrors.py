"""One mirror: asked for ranges of a content, watched while it sends, left when it stalls or leads astray."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import requests

from cardshop import addresses
from cardshop.contract.errors import MirrorRefused
from cardshop.contract.tasks import Content
from creator.pace import Pace

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 4096
"""A mirror that sends less, over the time in which it may not stall, is as good as silent."""

REDIRECTS = 5
_READ_BYTES = 64 * 1024
_REDIRECTED = {301, 302, 303, 307, 308}
_LARGEST_DOCUMENT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Web:
    """What mirrors may be asked, and how long they are waited for."""

    private_hosts: frozenset[str] = frozenset()  # names or addresses that may be private ("127.0.0.1")
    stall_seconds: float = STALL_SECONDS  # a mirror that sends nothing for so long is left
    pace: Pace = field(default_factory=lambda: Pace(0))


class Mirror:
    """An address of a content. For one thread, but :meth:`stop`, which another may call.

    Args:
        url: where the content is.
        content: what it is, for errors.
        web: what may be asked.
    """

    def __init__(self, url: str, content: Content, web: Web) -> None:
        self.host = urlsplit(url).hostname or "The address"
        self._url = url
        self.content = content
        self._web = web
        self._session = addresses.session(web.private_hosts)
        self._answer: requests.Response | None = None
        self._stopped = False

    def read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Bytes of the content and where they belong: from ``start`` on, or from 0 if it knows no ranges.

        Raises:
            MirrorRefused: it doesn't answer, answers otherwise, stalls, or ends too early.
        """
        answer = self._ask(start, end)
        self._answer = answer
        try:
            offset = start if answer.status_code == requests.codes.partial_content else 0
            for data in self._pieces(answer):
                yield offset, data
                offset += len(data)
            if offset < end:
                raise self._refused(
                    f"stopped sending {self.content.title} after {offset} of {self.content.size_bytes} bytes."
                )
        finally:
            self._answer = None
            answer.close()

    def document(self) -> bytes:
        """The whole of what is there, for a metalink: up to 64 MiB."""
        got = bytearray()
        with self._ask(0, 0) as answer:
            for data in self._pieces(answer):
                got += data
                if len(got) > _LARGEST_DOCUMENT:
                    raise self._refused("sends too much.")
        return bytes(got)

    def stop(self) -> None:
        """Ends a reading that another thread does, now."""
        self._stopped = True
        if (answer := self._answer) is not None:
            with suppress(ValueError, RuntimeError, OSError):  # it has just ended by itself
                answer.raw.shutdown()

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _ask(self, start: int, end: int) -> requests.Response:
        """Follows redirects, each looked at like the first address."""
        whole = start == 0 and end in (0, self.content.size_bytes)
        headers = {} if whole else {"Range": f"bytes={start}-{end - 1}"}
        address = self._url
        for _ in range(REDIRECTS + 1):
            if urlsplit(address).scheme not in ("http", "https"):
                raise self._refused("leads to what is no http or https address.")
            try:
                answer = self._session.get(
                    address,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_SECONDS, self._web.stall_seconds),
                )
            except (requests.RequestException, OSError, ValueError) as error:
                raise self._refused("does not answer.") from error
            if answer.status_code not in _REDIRECTED:
                break
            answer.close()
            address = urljoin(address, answer.headers.get("Location", ""))
        if answer.status_code == requests.codes.ok or (not whole and _continues(answer, start)):
            return answer
        answer.close()
        raise self._refused(f"answered {answer.status_code} for {self.content.title}.")

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        seconds = self._web.stall_seconds
        begun, came = time.monotonic(), 0
        try:
            for data in answer.iter_content(_READ_BYTES):
                yield data
                if self._stopped:
                    return
                came += len(data)
                begun += self._web.pace.took(len(data))
                now = time.monotonic()
                if now - begun >= seconds:
                    if came < LEAST_BYTES_PER_SECOND * seconds:
                        raise self._refused(f"sends no more than {came} bytes in {seconds:.0f} seconds.")
                    begun, came = now, 0
        except (requests.RequestException, OSError) as error:
            raise self._refused(f"broke the connection or stalled ({type(error).__name__}).") from error

    def _refused(self, why: str) -> MirrorRefused:
        return MirrorRefused(f"{self.host} {why}", field=self.content.ident)


def _continues(answer: requests.Response, start: int) -> bool:
    told = answer.headers.get("Content-Range", "")
    return answer.status_code == requests.codes.partial_content and told.startswith(f"bytes {start}-")
