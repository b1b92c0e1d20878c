"""What of an Offspot image YAML is taken, and with which field the rest is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cardshop.contract.errors import InvalidInput
from scheduler.domain.offspot import HIDDEN, LARGEST_DOCUMENT_BYTES, hidden, read
from scheduler.yaml_text import read_yaml, write_yaml

ADDRESS = "https://mirror.example/a.zim"
SHA256 = "ab" * 32


def document(**changes: Any) -> dict[str, Any]:
    return {
        "base": {"source": "1.3.1", "rootfs_size": "2.6 GiB"},
        "output": {"size": "auto"},
        "oci_images": [],
        "files": [{"to": "/data/contents/zims/a.zim", "url": ADDRESS, "via": "direct"}],
        "write_config": False,
        "offspot": {"timezone": "Africa/Bamako"},
        **changes,
    }


def a_file(**changes: Any) -> dict[str, Any]:
    return document(files=[{"to": "/data/a", "url": ADDRESS, **changes}])


def test_a_file_of_the_ecosystem_is_read_whole() -> None:
    text = "the text\n"
    checksum = {"algo": "sha-256", "value": SHA256.upper()}
    files = [
        {"to": "/data/a.zim", "url": ADDRESS, "size": 12, "checksum": checksum},
        {"to": "/data/site", "url": ADDRESS, "via": "gztar", "size": "2 MiB"},
        {"to": "/data/md5", "url": ADDRESS, "checksum": {"algo": "md5", "value": "0" * 32}},
        {"to": "/data/message.txt", "content": "\n hello \n"},
        {"to": "/data/logo.png", "content": base64.b64encode(b"\x89PNG").decode(), "via": "base64"},
    ]

    told = read(document(files=files, write_config=True, output={"size": "8G"}), text)

    assert (told.source, told.size) == ("1.3.1", 8 * 10**9)
    assert [(file.field, file.to, file.via, file.size, file.sha256) for file in told.sources] == [
        ("files[0]", "/data/a.zim", "direct", 12, SHA256),
        ("files[1]", "/data/site", "gztar", 2 * 1024**2, None),
        ("files[2]", "/data/md5", "direct", None, None),
    ]
    assert told.inline == (
        ("/data/message.txt", b"hello"),
        ("/data/logo.png", b"\x89PNG"),
        ("/data/image.yaml", b"the text"),
    )
    assert told.runtime == {"timezone": "Africa/Bamako"}


def test_a_container_image_with_an_address_goes_where_the_base_loads_it_from() -> None:
    image = {"ident": "ghcr.io/offspot/kiwix-serve:3.8.1", "url": ADDRESS, "filesize": 5, "fullsize": 4}

    [source] = read(document(oci_images=[image], files=[]), "").sources

    assert (source.field, source.to) == (
        "oci_images[0]",
        "/data/images/ghcr.io_offspot_kiwix-serve_3.8.1.tar",
    )


BAD: list[tuple[str, Any]] = [
    ("yaml", []),
    ("base", {"files": []}),
    ("base.source", document(base={"rootfs_size": 1})),
    ("base.kind", document(base={"source": "1.3.1", "kind": "x"})),
    ("colour", document(colour="red")),
    ("output.size", document(output={"size": "large"})),
    ("output.compress", document(output={"compress": True})),
    ("files", document(files={})),
    ("files[0]", document(files=["x"])),
    ("files[1].to", document(files=[{"to": "/data/a", "content": "x"}, {"to": "/data/a", "content": "y"}])),
    ("files[0].to", a_file(to="/etc/passwd")),
    ("files[0].to", a_file(to="/data/../etc/passwd")),
    ("files[0].to", a_file(to="/data/" + "n" * 256)),
    ("files[0].via", a_file(via="rar")),
    ("files[0].via", document(files=[{"to": "/data/a", "content": "x", "via": "zip"}])),
    ("files[0].content", document(files=[{"to": "/data/a", "content": "x", "via": "base64"}])),
    ("files[0].size", a_file(via="zip")),
    ("files[0].size", a_file(size="many")),
    ("files[0].url", a_file(url="file:///etc/passwd")),
    ("files[0].url", a_file(url="https://ada:secret@mirror.example/a")),
    ("files[0].url", document(files=[{"to": "/data/a"}])),
    ("files[0].checksum.algo", a_file(checksum={"algo": "crc32", "value": "x"})),
    ("files[0].checksum.value", a_file(checksum={"algo": "sha-256", "value": "x"})),
    ("files[0].mode", a_file(mode="755")),
    ("oci_images[0].url", document(oci_images=[{"ident": "a:b", "filesize": 1, "fullsize": 1}])),
    ("offspot", document(offspot=[])),
]


@pytest.mark.parametrize(("field", "data"), BAD)
def test_what_can_t_be_taken_is_told_with_its_field(field: str, data: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        read(data, "")

    assert error.value.field == field


def test_secrets_are_hidden_wherever_they_stand() -> None:
    runtime = {
        "ap": {"ssid": "Kiwix", "passphrase": "reading-is-free"},
        "containers": {
            "services": {
                "a": {"environment": {"ADMIN_PASSWORD": "x", "LANG": "fr"}},
                "b": {"environment": ["API_TOKEN=x", "LANG=fr"]},
            }
        },
    }

    assert hidden(runtime) == {
        "ap": {"ssid": "Kiwix", "passphrase": HIDDEN},
        "containers": {
            "services": {
                "a": {"environment": {"ADMIN_PASSWORD": HIDDEN, "LANG": "fr"}},
                "b": {"environment": [f"API_TOKEN={HIDDEN}", "LANG=fr"]},
            }
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: &x 1\nb: *x\n",
        "a: !!python/object/apply:os.system ['true']",
        "[" * 50 + "]" * 50,
        "[" * 5000,
        "a: " + "x" * LARGEST_DOCUMENT_BYTES,
        "a: 2001-99-99",
    ],
)
def test_a_yaml_that_is_none_or_hostile_is_one_error(text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_yaml(text, field="yaml", most_bytes=LARGEST_DOCUMENT_BYTES)

    assert error.value.field == "yaml"


def test_what_is_written_is_read_again() -> None:
    data = document(offspot={"ap": {"ssid": 'Bibliothèque d\'"été"'}})

    assert read_yaml(write_yaml(data), field="yaml", most_bytes=LARGEST_DOCUMENT_BYTES) == data
