"""A real warehouse in a process of its own, a scheduler that only judges tokens, and sparse images."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ftplib import FTP_TLS
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cardshop.contract.tasks import BaseReference
from cardshop.image_format import CHUNK_BYTES, BlockMap, Chunk, Manifest, Range
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from cardshop.stack.ports import LOOPBACK, PASSIVE_PORTS, free_block, free_port
from cardshop.stack.waiting import listens, wait_for
from cardshop.warehouse_client import Warehouse
from tests.real_services import PATIENCE_SECONDS
from tests.served_api import ServedApi

MIB = 1024 * 1024
IMAGE_BYTES = 96 * MIB
RANGES = (Range(0, MIB), Range(8 * MIB, 13 * MIB), Range(23 * MIB, 2 * MIB), Range(60 * MIB, 10 * MIB))
"""Holes at the end and in between, one of them short enough to be sent along; a piece below a chunk."""

DIGEST = "ab" * 32
OTHER_DIGEST = "cd" * 32
JUDGED_PASSWORD = "the-password"
NO_SETTINGS: Mapping[str, str] = {}
TOKEN = "the-warehouses-own-access-token"


class JudgingScheduler:
    """``POST /v1/tokens`` and ``POST /auth/warehouse`` over TLS, from a table of tokens."""

    def __init__(self, authority: Authority) -> None:
        self.away = False  # answers 503 to everything
        self.waiting = threading.Semaphore(0)  # released by each request that waits for an answer
        self._answers_now = threading.Event()
        self._answers_now.set()
        self.ca_file = authority.certificate_file
        self._answers: dict[str, dict[str, Any]] = {}
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                judge.pause()
                status, answer = judge.answer(self.path, self.headers.get("Authorization", ""), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
                """Says nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        files = authority.server("scheduler")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"https://{LOOPBACK}:{self._server.server_address[1]}"

    def token(self, operation: str, digest: str = DIGEST, life: timedelta = timedelta(hours=1)) -> str:
        """A token that this scheduler accepts."""
        token = f"token-{len(self._answers)}-{operation}"
        expires_at = (datetime.now(UTC) + life).isoformat()
        self._answers[token] = {
            "allowed": True,
            "operation": operation,
            "digest": digest,
            "expires_at": expires_at,
        }
        return token

    def answer(self, path: str, authorization: str, body: dict[str, str]) -> tuple[HTTPStatus, Any]:
        if self.away:
            return HTTPStatus.SERVICE_UNAVAILABLE, {}
        if path == "/v1/tokens" and body == {"username": "warehouse", "password": JUDGED_PASSWORD}:
            return HTTPStatus.OK, {"access_token": TOKEN, "refresh_token": "r", "expires_in": 3600}
        if path == "/auth/warehouse" and authorization == f"Bearer {TOKEN}":
            if body["token"] in self._answers:
                return HTTPStatus.OK, self._answers[body["token"]]
            return HTTPStatus.FORBIDDEN, {"code": "not-allowed", "detail": "The token is not valid."}
        return HTTPStatus.UNAUTHORIZED, {"code": "not-authenticated", "detail": "Who are you?"}

    def pause(self) -> None:
        """Called for each request."""
        if not self._answers_now.is_set():
            self.waiting.release()
        self._answers_now.wait()

    @contextmanager
    def answering_nobody(self) -> Iterator[None]:
        """Requests wait until the end of the block."""
        self._answers_now.clear()
        try:
            yield
        finally:
            self._answers_now.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class RealWarehouse:
    """``python -m warehouse`` at ``host``, which asks ``scheduler``; clients go to 127.0.0.1.

    ``settings`` are variables that differ from those of the tests.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        scheduler: JudgingScheduler | ServedApi,
        host: str = LOOPBACK,
        settings: Mapping[str, str] = NO_SETTINGS,
        password: str = JUDGED_PASSWORD,
    ) -> None:
        self.host = host
        self.images = folder / "images"
        self.shelf = folder / "zims"
        self.port = free_port()
        first = free_block(PASSIVE_PORTS)
        self.passive_ports = range(first, first + PASSIVE_PORTS)
        self.ca_file = authority.certificate_file
        self._scheduler = scheduler
        self._log = folder / "warehouse.log"
        secret = folder / "password"
        secret.write_text(f"{password}\n")
        files = authority.server("warehouse")
        self._environment = {
            "CARDSHOP_LISTEN": f"{host}:{self.port}",
            "CARDSHOP_PASSIVE_PORTS": f"{first}-{first + PASSIVE_PORTS - 1}",
            "CARDSHOP_TLS_CERT": str(files.certificate),
            "CARDSHOP_TLS_KEY": str(files.key),
            "CARDSHOP_CA_FILE": str(self.ca_file),
            "CARDSHOP_SCHEDULER_URL": scheduler.url,
            "CARDSHOP_USERNAME": "warehouse",
            "CARDSHOP_PASSWORD_FILE": str(secret),
            "CARDSHOP_IMAGES": str(self.images),
            "CARDSHOP_SHELF": str(self.shelf),
            **settings,
            "CARDSHOP_LOG_LEVEL": "DEBUG",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def scheduler(self) -> JudgingScheduler:
        """The one that only judges tokens, where it is that."""
        assert isinstance(self._scheduler, JudgingScheduler)
        return self._scheduler

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "warehouse"],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for("the warehouse", self._listens, PATIENCE_SECONDS)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(PATIENCE_SECONDS)

    def restart(self, how: signal.Signals) -> None:
        self.stop(how)
        self.start()

    def log(self) -> str:
        return self._log.read_text()

    def bytes_received(self, name: str) -> int:
        """All bytes of the file that ever reached the warehouse's disk, as its log tells."""
        lines = re.findall(rf"event='received'.*file='{re.escape(name)}'.* bytes=(\d+)", self.log())
        return sum(int(count) for count in lines)

    def client(self, operation: str, digest: str = DIGEST, **options: Any) -> Warehouse:
        """A client with a token that the scheduler accepts."""
        token = self.scheduler.token(operation, digest)
        return Warehouse(LOOPBACK, self.port, self.ca_file, token, **options)

    def ftp(self, token: str) -> FTP_TLS:
        """A plain FTPS client, logged in, with protected data channels."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        ftp = FTP_TLS(context=context, timeout=PATIENCE_SECONDS)  # noqa: S321 - inside TLS, both channels
        ftp.connect(LOOPBACK, self.port)
        ftp.auth()
        ftp.login("token", token)
        ftp.prot_p()
        ftp.voidcmd("TYPE I")
        return ftp

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return listens(Address(self.host, self.port))


@contextmanager
def real_warehouse(folder: Path, host: str = LOOPBACK, **settings: str) -> Iterator[RealWarehouse]:
    """A warehouse that runs, with its scheduler; both end with the block. Settings are by their variables."""
    (folder / "tls").mkdir()
    authority = Authority(folder / "tls")
    scheduler = JudgingScheduler(authority)
    warehouse = RealWarehouse(folder, authority, scheduler, host, settings)
    scheduler.start()
    try:
        warehouse.start()
        yield warehouse
        warehouse.stop()
    finally:
        scheduler.stop()


def make_image(folder: Path, digest: str = DIGEST, seed: int = 1) -> Manifest:
    """A sparse image with its manifest and block map in ``folder``; another seed gives other bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    chooser = random.Random(seed)  # noqa: S311 - the same bytes each time
    chunks = []
    with (folder / f"{digest}.img").open("wb") as image:
        for mapped in RANGES:
            for offset in range(mapped.offset, mapped.end, CHUNK_BYTES):
                data = chooser.randbytes(min(CHUNK_BYTES, mapped.end - offset))
                image.seek(offset)
                image.write(data)
                chunks.append(Chunk(offset, len(data), hashlib.sha256(data).hexdigest()))
        image.truncate(IMAGE_BYTES)
    manifest = Manifest(
        digest=digest,
        bytes=IMAGE_BYTES,
        mapped_bytes=sum(chunk.length for chunk in chunks),
        chunks=tuple(chunks),
        contents=(),
        base=BaseReference("cardshop-amd64", "0" * 64),
    )
    manifest.to_file(folder / f"{digest}.json")
    BlockMap(IMAGE_BYTES, tuple(chunks)).to_file(folder / f"{digest}.bmap")
    return manifest


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two sparse images are equal, holes included."""
    return one.read_bytes() == other.read_bytes()


def disk_bytes(path: Path) -> int:
    """What the file takes on the disk."""
    return path.stat().st_blocks * 512


def silent(_done: int, _total: int) -> None:
    """Observes nothing."""


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in folder.iterdir())


def store(warehouse: RealWarehouse, name: str, data: bytes, offset: int = 0, token: str = "") -> None:
    """Sends bytes as any FTPS client would."""
    ftp = warehouse.ftp(token or warehouse.scheduler.token("upload"))
    with ftp.transfercmd(f"STOR {name}", rest=offset) as channel:
        channel.sendall(data)
        channel.unwrap()  # type: ignore[attr-defined]  # the channel is protected
    ftp.voidresp()
    ftp.quit()  # answered when the transfer stands in the log


def upload_documents(warehouse: RealWarehouse, folder: Path) -> None:
    """The manifest and the block map, complete; nothing of the image."""
    ftp = warehouse.ftp(warehouse.scheduler.token("upload"))
    for suffix in (".json", ".bmap"):
        store(warehouse, DIGEST + suffix + ".part", (folder / (DIGEST + suffix)).read_bytes())
        ftp.rename(DIGEST + suffix + ".part", DIGEST + suffix)
    ftp.close()
