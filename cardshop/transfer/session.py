"""One logged-in connection to the warehouse: FTPS with both channels inside TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ftplib import FTP_TLS, error_perm, error_proto, error_reply, error_temp
from typing import TYPE_CHECKING

from cardshop.contract.errors import NotAuthenticated, NotFound, Unavailable
from cardshop.transfer.replies import Run, error_replied, runs_named

if TYPE_CHECKING:
    from socket import socket

USER_NAME = "token"
"""The warehouse looks at the password only."""

REASON_SECONDS = 2.0
"""How long the control channel may take to say why a data channel was cut."""


class Incoming:
    """A transfer from the warehouse, read in order."""

    def __init__(self, channel: socket) -> None:
        self._channel = channel

    def fill(self, buffer: memoryview) -> None:
        """Reads exactly the next ``len(buffer)`` bytes. Raises Unavailable when there are fewer."""
        while buffer:
            count = self._channel.recv_into(buffer)
            if not count:
                raise Unavailable("The warehouse ended a transfer too early.")
            buffer = buffer[count:]

    def rest(self) -> bytes:
        """Everything until the end."""
        blocks = []
        while block := self._channel.recv(65536):
            blocks.append(block)
        return b"".join(blocks)


class Session:
    """A session; every method may raise Unavailable, after which it is of no use any more.

    Args:
        host: name or address; the warehouse's certificate must be good for it.
        port: of the control channel.
        context: TLS that trusts the private CA only.
        token: what the scheduler gave for the one image.
        timeout: seconds that either channel may stay silent.

    Raises:
        NotAuthenticated: the token is not accepted, or the warehouse's certificate can't be trusted.
        Unavailable: the warehouse can't be reached, or can't ask the scheduler.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, token: str, timeout: float) -> None:
        self._timeout = timeout
        self._ftp = FTP_TLS(context=context, timeout=timeout)  # noqa: S321 - inside TLS, both channels
        with _errors_told(), self._closed_on_error():
            self._ftp.connect(host, port)
            self._ftp.auth()
            self._ftp.login(USER_NAME, token)
            self._ftp.prot_p()
            self._ftp.voidcmd("TYPE I")

    def size(self, name: str) -> int:
        """Bytes of a file in the warehouse; 0 when there is none."""
        try:
            with _errors_told():
                return self._ftp.size(name) or 0
        except NotFound:
            return 0

    def send(self, name: str, offset: int, blocks: Iterable[bytes | memoryview]) -> None:
        """Writes ``blocks`` to the file from ``offset`` on."""
        with _errors_told():
            channel = self._ftp.transfercmd(f"STOR {name}", rest=offset)
            try:
                with channel:
                    for block in blocks:
                        channel.sendall(block)
                    _end_tls(channel)
            except OSError:
                self._raise_reason()
                raise
            self._ftp.voidresp()

    @contextmanager
    def receiving(self, name: str, first: int = 0, end: int | None = None) -> Iterator[Incoming]:
        """Reads the file, or its bytes from ``first`` up to, not including, ``end``: all must be read."""
        with _errors_told():
            if end is not None:
                self._ftp.sendcmd(f"RANG {first} {end - 1}")
            with self._ftp.transfercmd(f"RETR {name}") as channel:
                yield Incoming(channel)
            self._ftp.voidresp()

    def complete(self, name: str, patience: float) -> tuple[Run, ...]:
        """Gives a part its final name; it is checked before, for up to ``patience`` seconds.

        Returns:
            The chunks that are wrong or missing and must be sent; none when all is well.
        """
        with _errors_told():
            self._ftp.sendcmd(f"RNFR {name}.part")
            self._set_timeout(max(patience, self._timeout))
            try:
                self._ftp.voidcmd(f"RNTO {name}")
            except error_perm as error:
                runs = runs_named(str(error))
                if not runs:
                    raise
                return runs
            finally:
                self._set_timeout(self._timeout)
        return ()

    def announce(self, size_bytes: int) -> None:
        """Says how large the file will be that :meth:`send` brings to the shelf."""
        with _errors_told():
            self._ftp.sendcmd(f"ALLO {size_bytes}")

    def name(self, part: str, name: str, patience: float, *, replace: bool) -> None:
        """Has a part of the shelf checked, for up to ``patience`` seconds, and gives it its name."""
        with _errors_told():
            if replace:
                self._ftp.sendcmd("SITE REPLACE")
            self._ftp.sendcmd(f"RNFR {part}")
            self._set_timeout(max(patience, self._timeout))
            try:
                self._ftp.voidcmd(f"RNTO {name}")
            finally:
                self._set_timeout(self._timeout)

    def delete(self, name: str) -> None:
        """Deletes a file of the shelf. Raises NotFound."""
        with _errors_told():
            self._ftp.delete(name)

    def listing(self) -> bytes:
        """The shelf's files as MLSD tells them (RFC 3659), a line each."""
        with _errors_told():
            with self._ftp.transfercmd("MLSD") as channel:
                lines = Incoming(channel).rest()
            self._ftp.voidresp()
        return lines

    def close(self) -> None:
        """Ends a session that is between two transfers."""
        with suppress(Unavailable), _errors_told():
            self._ftp.quit()
        self._ftp.close()

    def drop(self) -> None:
        """Cuts a session that broke, or was left in the middle of a transfer."""
        self._ftp.close()

    def _set_timeout(self, seconds: float) -> None:
        if self._ftp.sock is not None:
            self._ftp.sock.settimeout(seconds)

    def _raise_reason(self) -> None:
        """Raises what the warehouse says about a data channel that it cut, if it says something."""
        self._set_timeout(REASON_SECONDS)
        with suppress(OSError, EOFError):
            self._ftp.voidresp()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._ftp.close()
            raise


def _end_tls(channel: socket) -> None:
    """Says the end inside TLS and hears the warehouse say it: closing at once could lose the last bytes."""
    if isinstance(channel, ssl.SSLSocket):
        channel.unwrap()


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NotAuthenticated(
            "The warehouse's certificate can't be trusted.",
            hint=f"Is CARDSHOP_CA_FILE that of this Cardshop? ({error.verify_message})",
        ) from error
    except (error_perm, error_temp) as error:
        raise error_replied(str(error)) from error
    except (OSError, EOFError, error_reply, error_proto) as error:
        raise Unavailable(
            "The connection to the warehouse broke.", hint=f"It is tried again. ({type(error).__name__})"
        ) from error
