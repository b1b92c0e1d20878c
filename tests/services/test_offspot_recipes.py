"""Offspot's YAML through the API, the command and the manager, and from there to an image."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cardshop.command.__main__ import main
from cardshop.contract.events import Phase
from cardshop.fit import MIB, layout
from cardshop.programs import run
from creator.build import build
from creator.plan import ImagePlan, Places
from scheduler.domain.media import Medium
from scheduler.shop.recipes import card_configuration, image_digest, resolve
from tests.api import PASSWORD, WIFI_KEY, Api, a_base, a_recipe, new_api, published_library, read_catalogue
from tests.image_plans import WEB
from tests.manager_pages import Visitor, manager_of
from tests.mirror import Mirror, serve_mirror
from tests.offspot_base import NAME, ROOT_BYTES, make_offspot_base
from tests.real_services import RealMongod
from tests.served_api import served

DATA = bytes(range(256)) * 300
SHA256 = hashlib.sha256(DATA).hexdigest()
SMALL = Medium("1 GB", 1, 800 * MIB)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve_mirror() as served_mirror:
        yield served_mirror


@pytest.fixture
def api(mongod: RealMongod) -> Api:
    api = new_api(mongod.uri)
    api.store.bases.put(
        replace(a_base(), name="offspot-base-arm64-1.3.1", system="offspot", root_bytes=ROOT_BYTES)
    )
    return api


def a_yaml(mirror: Mirror, **changes: Any) -> str:
    mirror.files["a.bin"] = DATA
    checksum = {"algo": "sha-256", "value": SHA256}
    document = {
        "base": {"source": "1.3.1", "rootfs_size": 1},
        "output": {"size": "auto"},
        "files": [
            {"to": "/data/a.bin", "url": mirror.url("a.bin"), "checksum": checksum},
            {"to": "/data/message.txt", "content": "hello"},
        ],
        "offspot": {
            "timezone": "Africa/Bamako",
            "ap": {"ssid": "Kiwix Offspot", "passphrase": WIFI_KEY, "domain": "demo", "tld": "offspot"},
        },
        **changes,
    }
    return yaml.safe_dump(document)


def test_an_imported_yaml_is_a_recipe_that_tells_no_secret(api: Api, mirror: Mirror) -> None:
    told = api.post("/v1/recipes/offspot", {"name": "School", "yaml": a_yaml(mirror)}, who="client")

    facts = {name: told[name] for name in ("name", "ssid", "hostname", "domain", "timezone", "base", "size")}
    assert facts == {
        "name": "School",
        "ssid": "Kiwix Offspot",
        "hostname": "demo",
        "domain": "offspot",
        "timezone": "Africa/Bamako",
        "base": "offspot-base-arm64-1.3.1",
        "size": "auto",
    }
    assert told["offspot"]
    assert told["wifi_protected"]
    shown = api.get(f"/v1/recipes/{told['id']}/offspot", who="client")["yaml"]
    assert yaml.safe_load(shown)["offspot"]["ap"]["passphrase"] == "?"
    assert yaml.safe_load(shown)["files"] == yaml.safe_load(a_yaml(mirror))["files"]
    kept = repr(api.store.recipes.get(told["id"], owner=None))
    assert WIFI_KEY not in kept + shown + json.dumps(told)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("base.source", {"base": {"source": "0.9.9", "rootfs_size": 1}}),
        ("output.size", {"output": {"size": 12345}}),
        ("oci_images[0].url", {"oci_images": [{"ident": "a:b", "filesize": 1, "fullsize": 1}]}),
        ("offspot.ap.passphrase", {"offspot": {"ap": {"passphrase": "?"}}}),
        ("offspot.ap.ssid", {"offspot": {"ap": {"ssid": "x" * 33}}}),
        ("offspot.timezone", {"offspot": {"timezone": "Mars/Olympus"}}),
        ("offspot.hostname", {"offspot": {"hostname": "a b"}}),
    ],
)
def test_what_a_yaml_asks_and_the_shop_can_t_do_is_told_with_its_field(
    api: Api, mirror: Mirror, field: str, changes: dict[str, Any]
) -> None:
    answer = api.call("POST", "/v1/recipes/offspot", {"name": "x", "yaml": a_yaml(mirror, **changes)})

    assert (answer.status, answer.body["field"]) == (422, field)


def test_a_file_whose_checksum_nobody_tells_is_refused_when_its_fit_is_asked(
    api: Api, mirror: Mirror
) -> None:
    text = a_yaml(mirror, files=[{"to": "/data/a.bin", "url": mirror.url("a.bin")}])
    recipe = api.post("/v1/recipes/offspot", {"name": "x", "yaml": text})["id"]

    answer = api.call("GET", f"/v1/recipes/{recipe}/fit")
    assert (answer.status, answer.body["field"]) == (422, "files[0].checksum")

    mirror.files["a.bin.sha256"] = f"{SHA256}  a.bin\n".encode()
    assert api.get(f"/v1/recipes/{recipe}/fit")["medium"] == "8 GB"


def test_an_offspot_recipe_is_not_changed_field_by_field(api: Api, mirror: Mirror) -> None:
    recipe = api.post("/v1/recipes/offspot", {"name": "x", "yaml": a_yaml(mirror)})["id"]

    answer = api.call("PUT", f"/v1/recipes/{recipe}", a_recipe(["a:b:"]))

    assert answer.status == 422
    assert "import it anew" in answer.body["hint"]


def test_a_recipe_of_either_kind_on_the_other_s_base_is_refused(api: Api, mirror: Mirror) -> None:
    body = {"name": "x", "yaml": a_yaml(mirror), "base": "cardshop-amd64"}
    assert api.call("POST", "/v1/recipes/offspot", body).body["field"] == "base"

    answer = api.call("POST", "/v1/recipes", a_recipe(["a:b:"], base="offspot-base-arm64-1.3.1"))
    assert (answer.status, answer.body["field"]) == (422, "base")


def test_an_imported_yaml_becomes_an_image_with_its_files(api: Api, mirror: Mirror, tmp_path: Path) -> None:
    image = make_offspot_base(tmp_path / "bases")
    api.post("/v1/bases", json.loads(image.with_suffix(".json").read_text()))
    api.store.media.add(SMALL)
    body = {"name": "x", "yaml": a_yaml(mirror, write_config=True), "base": NAME}
    kept = api.store.recipes.get(api.post("/v1/recipes/offspot", body)["id"], owner=None)
    services = api.services

    resolved = resolve(api.store, services.web, kept.recipe, medium=SMALL.name)
    digest = image_digest(resolved, services.seal)
    configuration = card_configuration(api.store, resolved, digest, services.seal)
    plan = ImagePlan(digest, resolved.size_bytes, resolved.base, resolved.contents, configuration)
    built = build(plan, Places(image.parent, tmp_path / "cache", tmp_path / "work", WEB), unseen)

    system = f"{built.image}?offset={layout(resolved.size_bytes, ROOT_BYTES).data_offset}"
    assert run(["debugfs", "-R", "cat /a.bin", system], timeout=30).stdout == DATA
    assert run(["debugfs", "-R", "cat /message.txt", system], timeout=30).text == "hello"
    assert run(["debugfs", "-R", "cat /image.yaml", system], timeout=30).text == body["yaml"].strip()
    runtime = run(["mtype", "-i", f"{built.image}@@{8 * MIB}", "::/offspot.yaml"], timeout=30).text
    assert yaml.safe_load(runtime)["ap"]["passphrase"] == WIFI_KEY


def test_a_recipe_of_ours_is_told_as_a_yaml_that_image_creator_reads(api: Api, tmp_path: Path) -> None:
    with published_library(tmp_path) as library:
        idents = read_catalogue(api, library.feed_url)
        recipe = api.post("/v1/recipes", a_recipe(idents[:1], timezone="Africa/Bamako", language="fr"))["id"]
        text = api.get(f"/v1/recipes/{recipe}/offspot")["yaml"]

    told = yaml.safe_load(text)
    assert set(told) == {"base", "output", "oci_images", "files", "write_config", "offspot"}
    [file] = told["files"]
    assert file["to"].startswith("/data/contents/zims/")
    assert set(file) == {"to", "url", "via", "size", "checksum"}
    assert file["checksum"]["algo"] == "sha-256"
    assert told["offspot"]["ap"] == {
        "ssid": "Kiwix Hotspot",
        "domain": "kiwix",
        "tld": "hotspot",
        "passphrase": "?",
    }
    assert WIFI_KEY not in text
    assert "put the Wi-Fi key in again" in text
    assert "# Not in this format: the account teacher." in text


def test_the_command_takes_a_yaml_in_and_gives_it_out(
    api: Api, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, password, session = tmp_path / "school.yaml", tmp_path / "password", tmp_path / "session.json"
    file.write_text(a_yaml(mirror))
    password.write_text(PASSWORD)

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["--session", str(session), *words])
        return (status, *capsys.readouterr())

    with served(api, tmp_path / "tls") as shop:
        address = ("--url", shop.url, "--ca-file", str(shop.ca_file))
        command("login", *address, "--username", "operator", "--password-file", str(password))

        assert command("recipes", "import", str(file))[1].startswith("The recipe school is kept")
        assert yaml.safe_load(command("recipes", "export", "school")[1])["base"]["source"] == "1.3.1"
        assert "school" in command("recipes", "list")[1]
        file.write_text(a_yaml(mirror, files=[{"to": "/etc/x", "content": "x"}]))
        status, _, problem = command("recipes", "import", str(file))
        assert status
        assert "files[0].to" in problem


def test_the_manager_imports_a_yaml_shows_it_without_secrets_and_gives_it_out(
    api: Api, mirror: Mirror, tmp_path: Path
) -> None:
    with manager_of(api, tmp_path) as browser:
        visitor = Visitor(browser, "operator")
        form = visitor.get("/recipes/import")
        sending = form.root.one("form", enctype="multipart/form-data")
        token = sending.one("input", name="csrf_token").attributes["value"]

        def sent(text: str) -> str:
            file = (io.BytesIO(text.encode()), "school.yaml")
            data = {"csrf_token": token, "name": "", "base": "", "file": file}
            return browser.post("/recipes/import", data=data, follow_redirects=True).text

        assert "files[0].to" in sent(a_yaml(mirror, files=[{"to": "/etc/x", "content": "x"}]))
        page = sent(a_yaml(mirror))
        assert "The recipe school is saved" in page
        assert WIFI_KEY not in page
        [recipe] = api.get("/v1/recipes")["items"]
        given = browser.get(f"/recipes/{recipe['id']}/offspot.yaml")

    assert yaml.safe_load(given.text)["offspot"]["ap"]["passphrase"] == "?"
    assert "attachment" in given.headers["Content-Disposition"]


def unseen(_phase: Phase, _done: int, _total: int, _unit: str) -> None:
    pass
