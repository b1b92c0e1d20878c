"""What a token does not allow, and what a stranger sees."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from ftplib import FTP, FTP_TLS, error_perm, error_temp
from pathlib import Path

import pytest

from cardshop.contract.errors import NotAuthenticated
from cardshop.stack.certificates import Authority
from cardshop.warehouse_client import Warehouse
from tests.real_services import PATIENCE_SECONDS
from tests.warehouses import (
    DIGEST,
    OTHER_DIGEST,
    RealWarehouse,
    make_image,
    names,
    real_warehouse,
    silent,
    store,
)

IMAGE = f"{DIGEST}.img"
PART = f"{IMAGE}.part"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWarehouse]:
    """One warehouse that keeps one image; no test here changes what it keeps."""
    folder = tmp_path_factory.mktemp("warehouse")
    with real_warehouse(folder) as running:
        make_image(folder / "built")
        with running.client("upload") as client:
            client.upload(DIGEST, folder / "built", silent)
        yield running


def refused(ftp: FTP, command: str) -> str:
    with pytest.raises(error_perm) as caught:
        ftp.sendcmd(command)
    return str(caught.value)


def clear_text(warehouse: RealWarehouse) -> FTP:
    ftp = FTP(timeout=PATIENCE_SECONDS)  # noqa: S321 - what must be refused
    ftp.connect("127.0.0.1", warehouse.port)
    return ftp


def test_a_token_in_clear_text_is_refused_before_it_is_asked_for(warehouse: RealWarehouse) -> None:
    with clear_text(warehouse) as ftp:
        answer = refused(ftp, "USER token")

    assert "SSL/TLS required" in answer


def test_commands_sent_in_clear_behind_the_start_of_tls_are_forgotten(warehouse: RealWarehouse) -> None:
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    with socket.create_connection(("127.0.0.1", warehouse.port), timeout=PATIENCE_SECONDS) as plain:
        plain.recv(1000)
        plain.sendall(b"AUTH TLS\r\nUSER injected\r\nNOOP\r\n")
        assert plain.recv(1000).startswith(b"234")
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as inside:
            inside.sendall(b"PBSZ 0\r\n")

            answer = inside.recv(1000)

    assert answer == b"200 PBSZ=0 successful.\r\n"


def test_data_never_travels_in_clear(warehouse: RealWarehouse) -> None:
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    with FTP_TLS(context=context, timeout=PATIENCE_SECONDS) as ftp:  # noqa: S321 - what must be refused
        ftp.connect("127.0.0.1", warehouse.port)
        ftp.auth()
        ftp.login("token", warehouse.scheduler.token("download"))

        assert "SSL/TLS required" in refused(ftp, "PASV")
        ftp.prot_p()
        ftp.sendcmd("PASV")
        assert "PROT P" in refused(ftp, "PROT C")


def test_tls_before_1_2_is_refused(warehouse: RealWarehouse) -> None:
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with clear_text(warehouse) as ftp:
        ftp.sendcmd("AUTH TLS")

        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(ftp.sock, server_hostname="127.0.0.1")  # type: ignore[arg-type]


def test_a_client_refuses_a_warehouse_of_another_authority(warehouse: RealWarehouse, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)

    with (
        pytest.raises(NotAuthenticated, match="certificate"),
        Warehouse("127.0.0.1", warehouse.port, stranger.certificate_file, "t") as client,
    ):
        client.download(DIGEST, tmp_path / "fetched", silent)


def test_a_wrong_token_is_refused_and_slowed(warehouse: RealWarehouse, tmp_path: Path) -> None:
    begun = time.monotonic()

    with (
        pytest.raises(NotAuthenticated),
        Warehouse("127.0.0.1", warehouse.port, warehouse.ca_file, "made up") as client,
    ):
        client.download(DIGEST, tmp_path / "fetched", silent)

    assert time.monotonic() - begun > 2
    assert list((tmp_path / "fetched").iterdir()) == []


def test_a_scheduler_that_is_away_is_no_wrong_token(warehouse: RealWarehouse) -> None:
    token = warehouse.scheduler.token("download")
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    with FTP_TLS(context=context, timeout=PATIENCE_SECONDS) as ftp:  # noqa: S321 - inside TLS
        ftp.connect("127.0.0.1", warehouse.port)
        ftp.auth()
        warehouse.scheduler.away = True
        for _more_than_the_wrong_ones_allowed in range(5):
            with pytest.raises(error_temp, match="451"):
                ftp.login("token", token)
        warehouse.scheduler.away = False

        assert ftp.login("token", token).startswith("230")


def test_nothing_is_offered_before_the_login(warehouse: RealWarehouse) -> None:
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    with FTP_TLS(context=context, timeout=PATIENCE_SECONDS) as ftp:  # noqa: S321 - inside TLS
        ftp.connect("127.0.0.1", warehouse.port)
        ftp.auth()

        for command in (f"SIZE {IMAGE}", f"RETR {IMAGE}", f"STOR {PART}", "PASV", f"RNFR {PART}"):
            assert refused(ftp, command).startswith(("530", "550"))


@pytest.mark.parametrize(
    "command",
    [
        *(
            "LIST",
            "NLST",
            "MLSD",
            "MLST",
            "STAT /",
            "CWD /",
            "CDUP",
            "MKD x",
            f"RMD {DIGEST}",
            f"DELE {IMAGE}",
        ),
        *(f"APPE {PART}", "STOU", f"MDTM {IMAGE}", f"MFMT 20200101000000 {IMAGE}", f"SITE CHMOD 777 {IMAGE}"),
        *("PORT 127,0,0,1,200,200", "EPRT |1|127.0.0.1|51200|", "HELP", "OPTS UTF8 ON", "CCC", "XCWD /"),
    ],
)
@pytest.mark.parametrize("operation", ["upload", "download"])
def test_everything_else_that_ftp_can_do_is_refused(
    warehouse: RealWarehouse, operation: str, command: str
) -> None:
    with warehouse.ftp(warehouse.scheduler.token(operation)) as ftp:
        assert refused(ftp, command).startswith("550 ")


@pytest.mark.parametrize(
    "command",
    [f"STOR {PART}", f"STOR {IMAGE}", f"RNFR {PART}", f"RNTO {IMAGE}", f"SIZE {PART}", f"RETR {PART}"],
)
def test_a_token_for_a_download_writes_nothing_and_sees_no_part(
    warehouse: RealWarehouse, command: str
) -> None:
    with warehouse.ftp(warehouse.scheduler.token("download")) as ftp:
        assert refused(ftp, command).startswith("550 ")


@pytest.mark.parametrize(
    "command", [f"RETR {IMAGE}", f"RETR {PART}", f"STOR {IMAGE}", f"RNFR {IMAGE}", f"RNTO {PART}"]
)
def test_a_token_for_an_upload_reads_nothing_and_writes_no_final_name(
    warehouse: RealWarehouse, command: str
) -> None:
    with warehouse.ftp(warehouse.scheduler.token("upload")) as ftp:
        assert refused(ftp, command).startswith("550 ")


@pytest.mark.parametrize(
    "name",
    [
        *(f"/{IMAGE}", f"./{IMAGE}", f"x/../{IMAGE}", f"../images/{IMAGE}", "../password", "/etc/passwd", ""),
        *(
            f"{IMAGE}\n",
            f"{IMAGE}\x00",
            f"{IMAGE}\r",
            f" {IMAGE}",
            f"{IMAGE} ",
            IMAGE.upper(),
            f"{DIGEST}.zim",
        ),
    ],
)
def test_a_name_is_right_to_the_letter_or_refused(warehouse: RealWarehouse, name: str) -> None:
    with warehouse.ftp(warehouse.scheduler.token("download")) as ftp:
        ftp.sock.sendall(f"SIZE {name}\r\n".encode())  # type: ignore[union-attr]

        assert ftp.getline().startswith(("550 ", "501 "))


@pytest.mark.parametrize(
    ("operation", "command"),
    [("download", f"RETR {IMAGE}"), ("upload", f"STOR {PART}"), ("upload", f"SIZE {IMAGE}")],
)
def test_a_token_opens_no_other_image(warehouse: RealWarehouse, operation: str, command: str) -> None:
    with warehouse.ftp(warehouse.scheduler.token(operation, OTHER_DIGEST)) as ftp:
        assert refused(ftp, command).startswith("550 ")


@pytest.mark.parametrize(
    "command",
    [
        *(f"{verb} {name}" for name in (IMAGE, PART, f"{DIGEST}.json") for verb in ("SIZE", "DELE", "RNTO")),
        *(f"RETR {name}" for name in (IMAGE, f"{DIGEST}.json", "guide.zim", f"{DIGEST}.zim.part")),
        *(f"STOR {name}" for name in (PART, IMAGE, "guide.zim", "guide.zim.part", f"../{DIGEST}.zim.part")),
        *(f"RNFR {name}" for name in (PART, "guide.zim")),
        *(
            "NLST",
            "LIST",
            "MLSD /",
            "MLSD ..",
            "MLST",
            "CWD /",
            "MKD x",
            "RMD x",
            "APPE x",
            "SITE CHMOD 777 x",
        ),
        *("SITE HELP", "ALLO", "ALLO -1", "ALLO 1 R 1", "RANG x"),
    ],
)
def test_a_token_for_the_shelf_touches_no_image_and_reads_nothing(
    warehouse: RealWarehouse, command: str
) -> None:
    before = names(warehouse.images)

    with warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp:
        assert refused(ftp, command).startswith(("550 ", "501 "))

    assert names(warehouse.images) == before


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../images/x.zim",
            "/etc/x.zim",
            "x/y.zim",
            "..zim",
            ".zim",
            ".hidden.zim",
            "x.zim/",
            "x.zim/../y.zim",
        ),
        *("x.zim\x00", "x\n.zim", "x\u2028.zim", "x.ZIM", "x.zim ", f"{DIGEST}.zim.part"),
    ],
)
def test_a_file_of_the_shelf_is_in_its_folder_or_nowhere(warehouse: RealWarehouse, name: str) -> None:
    outside = names(warehouse.images.parent)

    with warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp:
        for verb in ("DELE", "RNTO"):
            ftp.sock.sendall(f"{verb} {name}\r\n".encode())  # type: ignore[union-attr]
            assert ftp.getline().startswith(("550 ", "501 ", "500 "))

    assert names(warehouse.images.parent) == outside


@pytest.mark.parametrize("operation", ["upload", "download"])
@pytest.mark.parametrize(
    "command",
    [f"STOR {DIGEST}.zim.part", "DELE guide.zim", "MLSD", "ALLO 5", "SITE REPLACE", "RNTO guide.zim"],
)
def test_a_token_for_an_image_touches_nothing_of_the_shelf(
    warehouse: RealWarehouse, operation: str, command: str
) -> None:
    with warehouse.ftp(warehouse.scheduler.token(operation)) as ftp:
        assert refused(ftp, command).startswith("550 ")


def test_a_link_on_the_shelf_is_not_written_through(warehouse: RealWarehouse, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    part = warehouse.shelf / f"{OTHER_DIGEST}.zim.part"
    part.symlink_to(outside)

    with warehouse.ftp(warehouse.scheduler.token("shelve")) as ftp:
        ftp.sendcmd("ALLO 5")
        assert "no file" in refused(ftp, f"STOR {part.name}")
        ftp.sendcmd(f"RNFR {part.name}")
        assert "no file" in refused(ftp, "RNTO guide.zim")

    assert outside.read_bytes() == b"precious"
    part.unlink()


def test_a_kept_image_takes_no_byte_more(warehouse: RealWarehouse) -> None:
    before = (warehouse.images / IMAGE).stat()

    with pytest.raises(error_perm, match="complete"):
        store(warehouse, PART, b"more")

    assert (warehouse.images / IMAGE).stat() == before
    assert PART not in names(warehouse.images)


def test_a_link_in_the_folder_is_not_followed(warehouse: RealWarehouse, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    document = f"{OTHER_DIGEST}.json"
    (warehouse.images / document).symlink_to(outside)
    (warehouse.images / f"{document}.part").symlink_to(outside)

    with pytest.raises(error_perm):
        store(warehouse, f"{document}.part", b"x", token=warehouse.scheduler.token("upload", OTHER_DIGEST))
    with warehouse.ftp(warehouse.scheduler.token("upload", OTHER_DIGEST)) as ftp:
        assert "no file" in refused(ftp, f"SIZE {document}")

    assert outside.read_bytes() == b"precious"
    for name in (document, f"{document}.part"):
        (warehouse.images / name).unlink()


def test_the_manifest_of_another_image_is_refused(warehouse: RealWarehouse, tmp_path: Path) -> None:
    make_image(tmp_path, DIGEST)
    token = warehouse.scheduler.token("upload", OTHER_DIGEST)
    store(warehouse, f"{OTHER_DIGEST}.json.part", (tmp_path / f"{DIGEST}.json").read_bytes(), token=token)

    with warehouse.ftp(token) as ftp, pytest.raises(error_perm, match="another image"):
        ftp.rename(f"{OTHER_DIGEST}.json.part", f"{OTHER_DIGEST}.json")

    (warehouse.images / f"{OTHER_DIGEST}.json.part").unlink()


def test_a_part_does_not_get_the_name_of_another(warehouse: RealWarehouse) -> None:
    with warehouse.ftp(warehouse.scheduler.token("upload")) as ftp:
        ftp.sendcmd(f"RNFR {DIGEST}.json.part")

        assert refused(ftp, f"RNTO {IMAGE}").startswith("503")


def test_a_new_user_in_an_open_session_starts_without_rights(warehouse: RealWarehouse) -> None:
    with warehouse.ftp(warehouse.scheduler.token("download")) as ftp:
        ftp.sendcmd("USER somebody")

        assert refused(ftp, f"SIZE {IMAGE}").startswith("530")


def test_no_token_is_in_the_log(warehouse: RealWarehouse, tmp_path: Path) -> None:
    token = warehouse.scheduler.token("download")
    warehouse.ftp(token).close()
    context = ssl.create_default_context(cafile=str(warehouse.ca_file))
    with FTP_TLS(context=context, timeout=PATIENCE_SECONDS) as ftp:  # noqa: S321 - inside TLS
        ftp.connect("127.0.0.1", warehouse.port)
        ftp.auth()
        with pytest.raises(error_perm):
            ftp.login(token, "wrong-token-of-a-careless-client")

    log = warehouse.log()

    assert "login-refused" in log
    for secret in (token, "wrong-token-of-a-careless-client", "the-password", "own-access-token"):
        assert secret not in log
