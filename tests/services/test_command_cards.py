"""``cardshop keys``, ``verify``, ``label`` and ``orders passports``: from the shop to the field."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cardshop.command.__main__ import main
from cardshop.command.bar import Bar
from cardshop.contract.events import Card, CardWritten, EventType, ImageBuilt, Speed
from cardshop.contract.passports import Signed
from cardshop.image_format import Manifest
from creator.plan import BuiltImage
from scheduler.domain.rights import Role
from scheduler.shop import orders
from scheduler.shop.folding import fold_event
from scheduler.shop.tasks import claim
from tests.api import PASSWORD, Api, new_api
from tests.real_services import RealMongod
from tests.served_api import ServedApi, served
from tests.shop import a_draft, told
from tests.written_cards import ANOTHER, BLOCK, Written, build_zim_image, write_image

SERIAL = "0353445344333247"


@dataclass
class Field:
    """A verified card of a real order, and who checks it."""

    api: Api
    shop: ServedApi
    folder: Path
    card: Written
    order: str  # its number
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, status: int = 0) -> str:
        """What is printed; on an error, what is said of it."""
        self.capsys.readouterr()
        ended = main(["--session", str(self.folder / "session.json"), *words])
        printed = self.capsys.readouterr()
        assert ended == status, printed
        return printed.out or printed.err

    def verify(self, *words: str, status: int = 0) -> str:
        return self.run("verify", str(self.card.path), "--keys", str(self.keys), *words, status=status)

    @property
    def keys(self) -> Path:
        path = self.folder / "keys.json"
        if not path.exists():
            path.write_text(self.run("keys", "--url", self.shop.url, "--ca-file", str(self.shop.ca_file)))
        return path

    def label(self) -> Path:
        """What the QR code of the card's label says."""
        passport = self.api.get(f"/v1/orders/{self.order_id}/passports")["items"][0]
        path = self.folder / "label.txt"
        path.write_text(Signed(**passport["signed"]).to_text())
        return path

    @property
    def order_id(self) -> str:
        return str(self.api.get("/v1/orders")["items"][0]["id"])

    def log_in(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        words = ["--url", self.shop.url, "--ca-file", str(self.shop.ca_file), "--username", "operator"]
        self.run("login", *words, "--password-file", str(secret))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    return build_zim_image(tmp_path_factory.mktemp("image"), "Library")


@pytest.fixture
def field(
    mongod: RealMongod, tmp_path: Path, image: BuiltImage, capsys: pytest.CaptureFixture[str]
) -> Iterator[Field]:
    api = new_api(mongod.uri)
    digest = Manifest.from_file(image.manifest).digest
    for role in (Role.CREATOR, Role.WRITER):
        api.store.workers.seen(role.value, role, f"{role.value}@desk", online=True)
    order = orders.place(api.store, a_draft(quantity=1, image_digest=digest))
    first = api.store.tasks.of_order(order.id)[0]
    first = claim(api.store, first.id, 1, worker="creator", role=Role.CREATOR).task
    outcome = ImageBuilt(digest, image.size_bytes, image.mapped_bytes, image.manifest_sha256, {})
    fold_event(api.store, told(first, EventType.TASK_SUCCEEDED, body=outcome), sender="creator")
    second = api.store.tasks.of_order(order.id)[1]
    claimed = api.post(f"/v1/tasks/{second.id}/claims", {"attempt": 1}, who="writer")
    card = write_image(tmp_path / "card", image, ANOTHER, passport=Signed(**claimed["passport"]))
    written = CardWritten(
        digest,
        "A",
        Card(SERIAL, 7_948_206_080),
        image.mapped_bytes,
        {"write": 1.0},
        manifest_sha256=image.manifest_sha256,
        host="rack-1",
        write_speed=Speed(20_000_000, 17_000_000),
        read_speed=Speed(40_000_000, 39_000_000),
    )
    task = api.store.tasks.get(second.id)
    fold_event(api.store, told(task, EventType.TASK_SUCCEEDED, body=written), sender="writer")
    with served(api, tmp_path / "tls") as shop:
        yield Field(api, shop, tmp_path, card, str(order.number), capsys)


def test_a_good_card_is_told_offline_with_its_order(field: Field) -> None:
    keys = field.keys
    field.shop = None  # type: ignore[assignment]  # nobody is asked from here on

    told_ = field.run("verify", str(field.card.path), "--keys", str(keys))

    assert told_.startswith("GOOD: the card is genuine, and every byte is right.\n")
    assert f"order  {field.order}, card 1 of 1" in told_
    as_json = json.loads(field.verify("--json"))
    assert (as_json["verdict"], as_json["broken"], as_json["card"]["order"]) == ("good", [], int(field.order))


def test_a_damaged_card_tells_which_file_and_has_a_status_of_its_own(field: Field) -> None:
    large = max(field.card.manifest.contents, key=lambda content: content.bytes)
    place = next(chunk for chunk in reversed(field.card.manifest.chunks) if chunk.length == 4 * 1024 * 1024)
    field.card.flip(place.offset + 17, 3)

    assert f"/data/contents/{large.file}" in field.verify(status=1)
    assert json.loads(field.verify("--json", status=1))["broken"] == [f"/data/contents/{large.file}"]


def test_a_card_of_another_shop_has_a_status_of_its_own(field: Field, image: BuiltImage) -> None:
    field.card = write_image(field.folder / "theirs", image, ANOTHER)

    assert field.verify(status=3).startswith("NOT GENUINE: nothing proves that the shop made this card.\n")


def test_a_label_is_checked_offline_alone_and_with_its_card(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = field.label()

    alone = field.run("label", str(label), "--keys", str(field.keys))
    with_card = field.verify("--label", str(label))

    assert "GENUINE" in alone
    assert f"{SERIAL}, 7,948,206,080 bytes" in alone
    assert "not its serial number" in with_card, "a file has none"
    monkeypatch.setattr("sys.stdin", io.StringIO(label.read_text()))
    read = json.loads(field.run("label", "-", "--keys", str(field.keys), "--json"))
    assert (read["write_median"], read["host"]) == (20_000_000, "rack-1")


@pytest.mark.parametrize("change", [("card 1", "card 1 "), ("0353445344333247", "0353445344333248")])
def test_a_forged_label_is_refused(field: Field, change: tuple[str, str]) -> None:
    label = field.label()
    label.write_text(label.read_text().replace("order ", "order 1", 1).replace(*change))

    refused = field.run("label", str(label), "--keys", str(field.keys), status=70)

    assert "forged" in refused


def test_the_label_of_another_card_is_not_genuine_with_this_one(field: Field, image: BuiltImage) -> None:
    label = field.label()
    content = field.card.path.read_bytes()
    place = field.card.manifest.passport
    assert place
    signed = Signed.from_text(content[place.offset : place.end].decode())
    other = signed.statement.replace("task ", "task 1", 1)
    field.card = write_image(field.folder / "other", image, ANOTHER, passport=ANOTHER.sign(other))
    field.folder.joinpath("keys.json").write_text(both_keys(field))

    told_ = field.verify("--label", str(label), status=3)

    assert "The label is that of another card." in told_


def both_keys(field: Field) -> str:
    ANOTHER.public(field.folder)
    theirs = json.loads((field.folder / "another.keys").read_text())["items"]
    return json.dumps({"items": [*json.loads(field.keys.read_text())["items"], *theirs]})


def test_passports_are_listed_for_people_and_with_their_signatures_for_scripts(field: Field) -> None:
    field.log_in()

    shown = field.run("orders", "passports", field.order)
    listed: list[dict[str, Any]] = json.loads(field.run("orders", "passports", field.order, "--json"))

    assert SERIAL in shown
    assert "20.0 (worst 17.0)" in shown
    assert listed[0]["signed"]["statement"].startswith("cardshop passport 1\n")
    assert json.loads(field.run("keys")) == json.loads(field.keys.read_text())


@pytest.mark.parametrize(
    "content", ["", "{}", '{"items": []}', '{"items": [{"key": "a", "public_pem": "b"}]}']
)
def test_a_file_without_keys_is_refused_with_what_to_do(field: Field, content: str) -> None:
    field.keys.write_text(content)

    assert "cardshop keys > keys.json" in field.verify(status=65)


def test_what_is_no_card_is_refused(field: Field) -> None:
    keys = str(field.keys)
    (field.folder / "text").write_text("no card")

    refused = field.run("verify", str(field.folder / "text"), "--keys", keys, status=65)
    assert "is no card of Cardshop" in refused
    assert "neither a block device nor" in field.run("verify", str(field.folder), "--keys", keys, status=65)
    assert "There is no" in field.run("verify", str(field.folder / "none"), "--keys", keys, status=66)


def test_the_bar_tells_how_far_how_fast_and_how_long(field: Field) -> None:
    drawn: list[str] = []
    times = iter([0.0, 1.0, 1.05, 2.0])
    bar = Bar(drawn.append, lambda: next(times))

    bar.at(BLOCK * 1000, BLOCK * 4000)
    bar.at(BLOCK * 1001, BLOCK * 4000)
    bar.at(BLOCK * 4000, BLOCK * 4000)
    bar.end()

    assert len(drawn) == 3
    assert "] 25 %  4 of 16 MB, 4 MB/s, 3 s left" in drawn[0]
    assert "] 100 %" in drawn[1]


def test_the_speed_is_of_what_was_done_now_and_not_before_a_cut() -> None:
    drawn: list[str] = []
    times = iter([0.0, 0.0, 1.0])
    bar = Bar(drawn.append, lambda: next(times), goes_on=True)

    bar.at(BLOCK * 3000, BLOCK * 4000)
    bar.at(BLOCK * 3500, BLOCK * 4000)

    assert "] 87 %" in drawn[-1]
    assert "2 MB/s, 1 s left" in drawn[-1]
