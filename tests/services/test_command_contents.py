"""``cardshop contents``: from a file on a desk to a recipe's content, by command, warehouse and shelf."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cardshop.command.__main__ import main
from cardshop.settings import Address
from cardshop.stack.certificates import Authority
from manager.app import make_app as make_manager
from manager.settings import Settings
from scheduler.domain.rights import Role
from scheduler.shop.catalogue import refresh
from scheduler.store.warehouses import Warehouse
from tests.api import PASSWORD, Api, a_recipe, an_order, new_api
from tests.manager_pages import Visitor
from tests.real_services import RealMongod
from tests.served_api import served
from tests.served_shelf import ServedShelf, served_shelf
from tests.warehouses import RealWarehouse, names
from tests.zims import make_zim


@dataclass
class Desk:
    """A person at the command line, logged in as the operator; the shop has a warehouse and its shelf."""

    api: Api
    warehouse: RealWarehouse
    shelf: ServedShelf
    url: str
    session: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, status: int = 0) -> str:
        """What the command prints; it must end with ``status``. On an error, what it says of that."""
        self.capsys.readouterr()
        ended = main(["--session", str(self.session), *words])
        printed = self.capsys.readouterr()
        assert ended == status, printed
        return printed.err if status else printed.out

    def log_in(self, username: str) -> None:
        secret = self.session.with_name("password")
        secret.write_text(PASSWORD)
        words = ("--url", self.url, "--ca-file", str(self.warehouse.ca_file), "--username", username)
        self.run("login", *words, "--password-file", str(secret))

    def manager(self) -> Flask:
        ca_file = self.warehouse.ca_file
        return make_manager(Settings(Address("127.0.0.1", 8080), self.url, ca_file, secret_key="k" * 32))

    def listed(self) -> list[str]:
        return [file["name"] for file in json.loads(self.run("contents", "list", "--json"))]

    def read_catalogue(self) -> list[str]:
        """The idents that the shelf offers, once it has read its folder."""
        for path in self.warehouse.shelf.glob("*.zim"):
            os.utime(path, (time.time() - 60,) * 2)
        self.shelf.wait_for_files(len(names(self.warehouse.shelf)))
        refresh(self.api.store, self.api.services.web, "shelf")
        return [entry["ident"] for entry in self.api.get("/v1/catalogue/entries")["items"]]


@pytest.fixture
def desk(mongod: RealMongod, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    api = new_api(mongod.uri)
    tls = tmp_path / "tls"
    with served(api, tls) as shop:
        warehouse = RealWarehouse(tmp_path, Authority(tls), shop, password=PASSWORD)
        warehouse.start()
        api.store.warehouses.put(Warehouse("main", "127.0.0.1", warehouse.port))
        with served_shelf(warehouse.shelf, tmp_path / "state") as shelf:
            api.store.catalogue.add("shelf", shelf.feed_url)
            desk = Desk(api, warehouse, shelf, shop.url, tmp_path / "home" / "session.json", capsys)
            desk.session.parent.mkdir()
            desk.log_in("operator")
            yield desk
        assert warehouse.stop() == 0


def test_an_uploaded_file_is_listed_chosen_and_ordered(desk: Desk, tmp_path: Path) -> None:
    zim = make_zim(tmp_path / "Guide d'été (50 %)?.zim", "A guide of ours")

    desk.run("contents", "upload", str(zim))

    assert desk.listed() == [zim.name]
    idents = desk.read_catalogue()
    assert idents == ["Cardshop:Guide d'été (50 %)?:"]
    order = desk.api.post("/v1/orders", an_order(recipe=a_recipe(idents, size="8 GB")), who="operator")
    assert order["state"] == "accepted"
    kept = desk.api.store.orders.get(order["id"]).draft.resolved.contents[0]
    assert (kept.file, kept.size_bytes) == (zim.name, zim.stat().st_size)


def test_several_files_are_uploaded_and_one_that_can_not_be_is_said_before_the_first(
    desk: Desk, tmp_path: Path
) -> None:
    good, bad = make_zim(tmp_path / "a.zim"), tmp_path / "b.zim"
    bad.write_text("no ZIM file")

    assert "b.zim is no ZIM file" in desk.run("contents", "upload", str(good), str(bad), status=65)
    assert desk.listed() == []
    make_zim(bad)
    desk.run("contents", "upload", str(good), str(bad))

    assert desk.listed() == ["a.zim", "b.zim"]


def test_a_name_that_can_not_be_is_told_with_what_to_do(desk: Desk, tmp_path: Path) -> None:
    zim = make_zim(tmp_path / ".guide.zim")

    assert "--as NAME.zim" in desk.run("contents", "upload", str(zim), status=65)
    desk.run("contents", "upload", str(zim), "--as", "guide.zim")

    assert desk.listed() == ["guide.zim"]


def test_a_damaged_file_is_told_and_nothing_is_left(desk: Desk, tmp_path: Path) -> None:
    zim = make_zim(tmp_path / "guide.zim")
    with zim.open("r+b") as file:
        file.seek(zim.stat().st_size // 2)
        file.write(b"\xff" * 8)

    assert "inner checksum" in desk.run("contents", "upload", str(zim), status=65)

    assert names(desk.warehouse.shelf) == []


def test_another_file_of_a_name_is_replaced_when_asked_only(desk: Desk, tmp_path: Path) -> None:
    first, second = make_zim(tmp_path / "guide.zim", "First"), make_zim(tmp_path / "new.zim", "Second")
    desk.run("contents", "upload", str(first))
    words = ("contents", "upload", str(second), "--as", "guide.zim")

    assert "--replace" in desk.run(*words, status=75)
    assert (desk.warehouse.shelf / "guide.zim").read_bytes() == first.read_bytes()
    desk.run(*words, "--replace")

    assert (desk.warehouse.shelf / "guide.zim").read_bytes() == second.read_bytes()


@pytest.mark.parametrize("act", ["delete", "replace"])
def test_a_file_that_a_recipe_or_an_order_needs_goes_when_the_person_is_sure(
    desk: Desk, tmp_path: Path, act: str
) -> None:
    zim = make_zim(tmp_path / "guide.zim")
    desk.run("contents", "upload", str(zim))
    recipe = a_recipe(desk.read_catalogue(), name="For schools", size="8 GB")
    desk.api.post("/v1/recipes", recipe, who="client")
    number = desk.api.post("/v1/orders", an_order(recipe=recipe), who="client")["number"]
    make_zim(zim, "Newer")
    words = {"delete": ("delete", "guide.zim"), "replace": ("upload", str(zim), "--replace")}[act]

    told = desk.run("contents", *words, status=65)

    assert "the recipe For schools" in told
    assert f"order {number}" in told
    assert "--yes" in told
    before = (desk.warehouse.shelf / "guide.zim").read_bytes()
    desk.run("contents", *words, "--yes")
    assert not (desk.warehouse.shelf / "guide.zim").exists() or before != zim.read_bytes()


def test_a_file_that_nothing_needs_is_deleted_without_a_question(desk: Desk, tmp_path: Path) -> None:
    desk.run("contents", "upload", str(make_zim(tmp_path / "guide.zim")))

    desk.run("contents", "delete", "guide.zim")

    assert desk.listed() == []
    assert "no file guide.zim" in desk.run("contents", "delete", "guide.zim", status=66)


def test_the_manager_shows_the_files_and_what_needs_one_before_it_is_deleted(
    desk: Desk, tmp_path: Path
) -> None:
    name = "Guide d'été (50 %)?.zim"
    desk.run("contents", "upload", str(make_zim(tmp_path / name)))
    recipe = a_recipe(desk.read_catalogue(), name="For schools", size="8 GB")
    desk.api.post("/v1/recipes", recipe, who="client")
    visitor = Visitor(desk.manager().test_client(), "operator")

    shelf = visitor.get("/catalogue/own")
    link = next(each for each in shelf.root.all("a") if each.text == f"Delete {name}")
    asked = visitor.get(link.attributes["href"])
    assert (desk.warehouse.shelf / name).exists()
    done = visitor.send(asked, "/catalogue/own/deletion", file=name)

    assert name in shelf.text
    assert "cardshop contents upload" in shelf.text
    assert "can't be ordered any more" in asked.text
    assert "For schools" in [each.text for each in asked.root.all("a")]
    assert f"{name} is deleted." in done.text
    assert names(desk.warehouse.shelf) == []


def test_the_manager_tells_why_there_is_no_list_and_hides_it_from_who_has_no_right(
    desk: Desk, tmp_path: Path
) -> None:
    manager = desk.manager()
    client = Visitor(manager.test_client(), "client")
    desk.warehouse.stop()

    told = Visitor(manager.test_client(), "operator").get("/catalogue/own")
    desk.warehouse.start()

    assert (told.status, "connection to the warehouse broke" in told.text) == (200, True)
    assert client.get("/catalogue/own").status == 403
    assert "ZIM files of your own" not in client.get("/catalogue").text


@pytest.mark.parametrize("role", sorted(set(Role)))
def test_only_operators_and_admins_get_to_the_shelf(mongod: RealMongod, role: Role) -> None:
    api = new_api(mongod.uri)
    allowed = role in (Role.ADMIN, Role.OPERATOR)

    assert api.call("POST", "/v1/shelf-tokens", who=role).status == (201 if allowed else 403)
    assert api.call("GET", "/v1/shelf-uses?file=a.zim", who=role).status == (200 if allowed else 403)


def test_a_token_ends_with_the_right_that_it_was_given_for(desk: Desk, tmp_path: Path) -> None:
    token = desk.api.post("/v1/shelf-tokens", who="operator")["token"]
    desk.warehouse.ftp(token).close()

    desk.api.call("PATCH", "/v1/users/operator", {"role": "technician"})

    with pytest.raises(Exception, match="530"):
        desk.warehouse.ftp(token)


def test_an_order_s_token_does_not_open_the_shelf(desk: Desk) -> None:
    token: Any = desk.api.post("/v1/trial-tokens", who="writer")["token"]

    with desk.warehouse.ftp(token) as ftp, pytest.raises(Exception, match="550"):
        ftp.sendcmd("DELE guide.zim")
