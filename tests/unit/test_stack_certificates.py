from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest

from cardshop.stack.certificates import RENEW_BEFORE, SERVER_LIFE, Authority, ServerCertificate
from cardshop.tls import client_context, server_context

TODAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def authority(folder: Path, *, after: dt.timedelta = dt.timedelta()) -> Authority:
    return Authority(folder, clock=lambda: TODAY + after)


def handshake(files: ServerCertificate, ca_file: Path, name: str) -> str | None:
    """The TLS version that a client and a server agree on."""
    server_side, client_side = socket.socketpair()

    def serve() -> None:
        try:
            server_context(files.certificate, files.key).wrap_socket(server_side, server_side=True).close()
        except OSError:
            server_side.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context(ca_file).wrap_socket(client_side, server_hostname=name) as channel:
            return channel.version()
    finally:
        client_side.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_believes_its_servers(tmp_path: Path, name: str) -> None:
    ours = Authority(tmp_path)

    version = handshake(ours.server("scheduler"), ours.certificate_file, name)

    assert version == "TLSv1.3"


def test_a_server_under_another_name_is_not_believed(tmp_path: Path) -> None:
    ours = Authority(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours.server("scheduler"), ours.certificate_file, "example.org")


def test_a_server_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    ours, other = (Authority(folder) for folder in made(tmp_path, "ours", "other"))

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other.server("scheduler"), ours.certificate_file, "localhost")


def test_certificates_stay_the_same_while_they_are_good(tmp_path: Path) -> None:
    before = authority(tmp_path).server("rabbit").certificate.read_bytes()

    after = authority(tmp_path, after=dt.timedelta(days=100)).server("rabbit").certificate.read_bytes()

    assert after == before


def test_a_server_certificate_is_renewed_near_its_end(tmp_path: Path) -> None:
    before = authority(tmp_path).server("rabbit").certificate.read_bytes()
    near_end = SERVER_LIFE - RENEW_BEFORE + dt.timedelta(days=1)

    after = authority(tmp_path, after=near_end).server("rabbit").certificate.read_bytes()

    assert after != before


def test_a_new_authority_signs_all_servers_anew(tmp_path: Path) -> None:
    old = authority(tmp_path).server("rabbit").certificate.read_bytes()
    (tmp_path / "ca.pem").unlink()

    new = authority(tmp_path).server("rabbit").certificate.read_bytes()

    assert new != old


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    authority(tmp_path).server("rabbit")

    assert [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077] == []


def made(parent: Path, *names: str) -> list[Path]:
    folders = [parent / name for name in names]
    for folder in folders:
        folder.mkdir()
    return folders


def test_a_server_gets_a_new_certificate_when_its_names_change(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files = ours.server("warehouse", ["warehouse"])
    before = files.certificate.read_bytes()

    kept = ours.server("warehouse", ["warehouse"]).certificate.read_bytes()
    renewed = ours.server("warehouse", ["cards.example.org", "192.0.2.7"])

    assert kept == before
    for name in ("cards.example.org", "192.0.2.7", "localhost"):
        assert handshake(renewed, ours.certificate_file, name) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(renewed, ours.certificate_file, "warehouse")
