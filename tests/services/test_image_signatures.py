"""An image's signature, checked by somebody else's program: OpenSSL, with nothing but the public key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cardshop.contract.errors import ProgramFailed
from cardshop.programs import run
from tests.api import Api, new_api
from tests.real_services import RealMongod

DIGEST, MANIFEST = "1f" * 32, "2e" * 32


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    made = new_api(mongod.uri)
    outcome = {"image_digest": DIGEST, "size_bytes": 9, "mapped_bytes": 5, "manifest_sha256": MANIFEST}
    made.store.images.keep({**outcome, "seconds": {}}, "main")
    return made


def verify(folder: Path, public_pem: str, statement: str, signature: str) -> None:
    (folder / "key.pem").write_text(public_pem)
    (folder / "statement").write_bytes(statement.encode())
    (folder / "signature").write_bytes(base64.b64decode(signature))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
    run([*words, "-in", "statement", "-sigfile", "signature"], cwd=folder, timeout=30)


def test_openssl_verifies_an_image_with_the_key_that_everyone_may_read(api: Api, tmp_path: Path) -> None:
    signed = api.get(f"/v1/images/{DIGEST}/signature", who="client")
    keys = {item["key"]: item["public_pem"] for item in api.get("/v1/image-keys", who=None)["items"]}

    assert signed["statement"] == f"cardshop image 1\n{DIGEST}\n{MANIFEST}\n"
    verify(tmp_path, keys[signed["key"]], signed["statement"], signed["signature"])
    changed = signed["statement"].replace("2e2e", "2f2e", 1)
    with pytest.raises(ProgramFailed):
        verify(tmp_path, keys[signed["key"]], changed, signed["signature"])


def test_a_signature_outlives_the_keys_of_tokens(api: Api, tmp_path: Path) -> None:
    before = api.get(f"/v1/images/{DIGEST}/signature")

    api.services.signing.rotate()
    api.log_in_again()

    assert api.get(f"/v1/images/{DIGEST}/signature") == before
    keys = api.get("/v1/image-keys")["items"]
    verify(tmp_path, keys[0]["public_pem"], before["statement"], before["signature"])


def test_an_image_that_is_not_kept_has_no_signature(api: Api) -> None:
    answer = api.call("GET", f"/v1/images/{'0' * 64}/signature")

    assert (answer.status, answer.body["detail"]) == (404, "No such image is kept.")


def test_no_private_key_is_ever_told(api: Api) -> None:
    assert "PRIVATE" not in str(api.get("/v1/image-keys"))
    assert [set(item) for item in api.get("/v1/image-keys")["items"]] == [{"key", "public_pem"}]
