"""One session: the few FTP commands that a token may use, answered by the images' folder or the shelf's."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

import structlog
from pyftpdlib.handlers import TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.handlers.ftp.producers import BufferedIteratorProducer, FileProducer
from pyftpdlib.log import logger as library_log

from cardshop.contract.errors import CardshopError, NotAllowed
from cardshop.transfer.replies import reply_code
from warehouse.authorizer import TokenJudge
from warehouse.filesystem import ImageFolder
from warehouse.open_files import PartFile
from warehouse.rights import PART, Operation, Right, check
from warehouse.shelving import ShelfFolder, mlsd_line

STALLED_SECONDS = 60
"""A data channel without a byte for this long is closed: it holds the lock of its part."""

IDLE_SECONDS = 300
"""A control channel without a command for this long is closed; checking a large image counts as one."""

NOT_OFFERED = "550 The warehouse does not offer this: a token gives the right to one image or the shelf."

_log = structlog.get_logger("warehouse")
_SPAN = re.compile(r"([0-9]{1,15}) ([0-9]{1,15})")
_OFFERED = (
    *("AUTH", "PBSZ", "PROT", "USER", "PASS", "QUIT", "NOOP", "FEAT", "SYST", "PWD", "TYPE", "MODE", "STRU"),
    *("PASV", "EPSV", "ABOR", "REST", "SIZE", "RETR", "STOR", "RNFR", "RNTO", "ALLO", "DELE", "MLSD", "SITE"),
)
_FILE_COMMANDS = frozenset({"SIZE", "RETR", "STOR", "RNFR", "RNTO", "ALLO", "DELE", "MLSD", "SITE"})
_REPLACE = {"perm": None, "auth": True, "arg": False, "help": "Syntax: SITE <SP> REPLACE."}
_RANG = {"perm": None, "auth": True, "arg": True, "help": "Syntax: RANG <SP> first <SP> last."}


class DataChannel(TLS_DTPHandler):  # type: ignore[misc]  # the library has no types
    """A data channel that says why a file could not be written."""

    timeout = STALLED_SECONDS

    def handle_error(self) -> None:
        """Called by the library while an exception is handled."""
        error = sys.exception()
        cause = error.__cause__ if error else None
        if not isinstance(cause, OSError):
            super().handle_error()
            return
        _log.warning("file-not-written", peer=self.cmd_channel.remote_ip, reason=str(cause))
        self._resp = (f"452 {cause.strerror}; transfer aborted.", library_log.debug)
        self.close()


class Session(TLS_FTPHandler):  # type: ignore[misc]  # the library has no types
    """A control channel. :func:`warehouse.app.make_server` gives the class what it works with."""

    judge: ClassVar[TokenJudge]
    folder: ClassVar[ImageFolder]
    shelf: ClassVar[ShelfFolder]
    clock: ClassVar[Callable[[], datetime]]

    tls_control_required = True
    tls_data_required = True
    timeout = IDLE_SECONDS
    banner = "Cardshop warehouse."
    dtp_handler = DataChannel
    proto_cmds: ClassVar[dict[str, Any]] = {
        **{name: {**TLS_FTPHandler.proto_cmds[name], "perm": None} for name in _OFFERED},
        "RANG": _RANG,
        "SITE REPLACE": _REPLACE,
    }

    def __init__(self, conn: Any, server: Any, ioloop: Any = None) -> None:
        super().__init__(conn, server, ioloop)
        self._right: Right | None = None
        self._end: int | None = None
        self._part = ""  # that RNFR named
        self._announced = 0  # bytes that ALLO told
        self._replaces = False
        if self.connected:
            self._extra_feats.append("RANG STREAM")

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Refuses what is not offered and what the token does not allow; the rest goes on."""
        if cmd not in self.proto_cmds:
            self.respond(NOT_OFFERED)
            return
        if cmd in _FILE_COMMANDS and self._right is not None:
            try:
                check(self._right, cmd, arg, type(self).clock())
            except CardshopError as error:
                _log.warning("refused", command=cmd, peer=self.remote_ip, image=self._right.digest)
                self.respond(f"{reply_code(error)} {error.sentence}")
                return
        super().pre_process_command(line, cmd, arg)

    def ftp_AUTH(self, line: str) -> None:  # noqa: N802 - the library's names
        """Starts TLS; what was sent in clear behind the command is forgotten, never run inside TLS."""
        super().ftp_AUTH(line)
        self.ac_in_buffer = b""

    def ftp_PROT(self, line: str) -> None:  # noqa: N802
        """Data channels are private, and stay so: a later PROT C would undo what PASV checked."""
        if line.upper() == "P":
            super().ftp_PROT(line)
        else:
            self.respond("534 Data channels are protected here: use PROT P.")

    def ftp_USER(self, _line: str) -> None:  # noqa: N802
        """The name is ignored; some clients put the token there, so it is not kept or logged either."""
        super().ftp_USER("token")

    def ftp_PASS(self, line: str) -> None:  # noqa: N802
        """Asks about the token. Blocks this session's thread only."""
        if self.authenticated or not self.username:
            self.respond("503 Say USER first, and log in once.")
            return
        try:
            right = self.judge.right(line)
        except NotAllowed as error:
            _log.warning("login-refused", peer=self.remote_ip)
            self.handle_auth_failed(error.sentence, "")
        except CardshopError as error:
            _log.error("login-not-decided", peer=self.remote_ip, reason=error.sentence)
            self.respond("451 The scheduler can't say now whether this token is good; log in again later.")
        else:
            self._right = right
            _log.info("login", peer=self.remote_ip, operation=right.operation.value, image=right.digest)
            self.handle_auth_success(str(self.folder.path), "", "Welcome.")

    def flush_account(self) -> None:
        """Called at a new USER: the right goes with the account."""
        super().flush_account()
        self._right = None

    def ftp_SIZE(self, name: str) -> None:  # noqa: N802
        """Bytes of the file."""
        with self._errors_told():
            self.respond(f"213 {(self.shelf if self._is_for_shelf else self.folder).size(name)}")

    def ftp_REST(self, line: str) -> None:  # noqa: N802
        """The next transfer begins at this byte and goes to the end."""
        self._end = None
        super().ftp_REST(line)

    def ftp_RANG(self, line: str) -> None:  # noqa: N802
        """``RANG first last``: the next RETR sends these bytes, both included (draft-bryan-ftp-range)."""
        match = _SPAN.fullmatch(line)
        if match is None or int(match[1]) > int(match[2]):
            self.respond("501 Use RANG first last, in bytes.")
            return
        self._restart_position, self._end = int(match[1]), int(match[2]) + 1
        self.respond(f"350 The next transfer is of bytes {match[1]} to {match[2]}.")

    def ftp_RETR(self, name: str) -> None:  # noqa: N802
        """Sends a file of a complete image, or the range that was asked for."""
        first, end = self._take_span()
        if not self._is_binary():
            return
        with self._errors_told():
            file = self.folder.open_kept(name, first, end)
            self.push_dtp_data(FileProducer(file, "i"), isproducer=True, file=file, cmd="RETR")

    def ftp_STOR(self, name: str) -> None:  # noqa: N802
        """Receives bytes of a part, from the offset that REST told on."""
        offset, _end = self._take_span()
        if not self._is_binary():
            return
        with self._errors_told():
            if self._is_for_shelf:
                self._receive(self.shelf.open_part(name, offset, self._announced))
            else:
                self._receive(self.folder.open_part(name, offset))

    def ftp_RNFR(self, name: str) -> None:  # noqa: N802
        """Names the part to complete. The part of a complete image may be gone: see RNTO."""
        self._part = name
        self.respond("350 Ready for the final name.")

    def ftp_RNTO(self, name: str) -> None:  # noqa: N802
        """Checks the part and gives it its final name. Blocks this session's thread while it reads."""
        part, self._part = self._part, ""
        replaces, self._replaces = self._replaces, False
        if not part or not (self._is_for_shelf or part == name + PART):
            self.respond("503 Say RNFR with the part of this name first.")
            return
        with self._errors_told():
            if self._is_for_shelf:
                self.shelf.complete(part, name, replace=replaces)
            else:
                self.folder.complete(name)
            _log.info("completed", file=name)
            self.respond(f"250 {name} is complete.")

    def ftp_ALLO(self, line: str) -> None:  # noqa: N802
        """How large the file will be whose part is sent next to the shelf."""
        self._announced = int(line)
        self.respond(f"200 The next file has {line} bytes.")

    def ftp_SITE_REPLACE(self, _line: str) -> None:  # noqa: N802
        """The next file that is completed takes the place of one of its name."""
        self._replaces = True
        self.respond("200 The next file may replace another.")

    def ftp_DELE(self, name: str) -> None:  # noqa: N802
        """Deletes a file of the shelf."""
        with self._errors_told():
            self.shelf.delete(name)
            _log.info("deleted", file=name, peer=self.remote_ip)
            self.respond(f"250 {name} is deleted.")

    def ftp_MLSD(self, _path: str) -> None:  # noqa: N802
        """Lists the files of the shelf (RFC 3659)."""
        with self._errors_told():
            lines = (mlsd_line(file).encode() for file in self.shelf.files())
            self.push_dtp_data(BufferedIteratorProducer(lines), isproducer=True, cmd="MLSD")

    def log_transfer(
        self, cmd: str, filename: str, receive: bool, completed: bool, elapsed: float, **counts: int
    ) -> None:
        """Called by the library at the end of a transfer, whole or cut."""
        _log.info(
            "received" if receive else "sent",
            file=filename.rpartition("/")[2],
            bytes=counts["bytes"],
            seconds=elapsed,
            whole=completed,
            command=cmd,
        )

    def log_exception(self, instance: object) -> None:
        """Called by the library for what should not happen."""
        _log.exception("session-broken", peer=self.remote_ip, where=type(instance).__name__)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Answers with what went wrong: 55x when it stays wrong, 45x when trying again can help."""
        try:
            yield
        except OSError as error:
            _log.error("disk-error", peer=self.remote_ip, reason=str(error))
            self.respond(f"452 The warehouse's disk: {error.strerror}.")
        except CardshopError as error:
            _log.info("not-done", peer=self.remote_ip, reason=error.sentence)
            self.respond(f"{reply_code(error)} {error.sentence}")

    @property
    def _is_for_shelf(self) -> bool:
        return self._right is not None and self._right.operation is Operation.SHELVE

    def _take_span(self) -> tuple[int, int | None]:
        span = self._restart_position, self._end
        self._restart_position, self._end = 0, None
        return span

    def _is_binary(self) -> bool:
        if self._current_type != "i":
            self.respond("504 Images are binary: use TYPE I.")
        return bool(self._current_type == "i")

    def _receive(self, file: PartFile) -> None:
        if self.data_channel is None:
            self._in_dtp_queue = (file, "STOR")
            self.respond("150 Waiting for the data channel.")
        else:
            self.data_channel.file_obj = file
            self.respond("125 Receiving.")
            self.data_channel.enable_receiving("i", "STOR")
