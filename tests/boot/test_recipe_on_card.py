"""A whole recipe on a card: each row of its table takes effect, seen from outside and read from the card.

The card is full of 0xFF before and is written through the block map alone, by bmaptool: nothing of an image
may count on a card's being empty.
"""

from __future__ import annotations

import html
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from cardshop.contract.tasks import BaseReference, Content
from cardshop.fit import ALIGNMENT, BOOT_OFFSET, MIB, Layout, forecast, layout
from cardshop.programs import run
from creator.build import build
from creator.plan import ImagePlan, Places
from scheduler.domain.branding import Branding
from scheduler.domain.recipes import SYSTEM_NAMES, AdminAccount, Recipe, ResolvedRecipe, card_configuration
from scheduler.shop.passwords import card_password_hash
from tests.boot.guest import AAAA, ADDRESS, HTTPS, A, Guest, guest_of
from tests.boot.real_bases import BASES, base_facts
from tests.image_plans import WEB, make_content
from tests.mirror import Mirror, serve_mirror
from tests.pictures import a_picture, sent
from tests.zims import make_zim

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BOOT_SECONDS = 600.0
LOG = "serial.log"
KEY, PASSWORD = "lire est libre", "chevaux-du-fleuve-1987"
LOGO = a_picture(size=(120, 40))
RECIPE = Recipe(
    name="École de Kati",
    hostname="Bibliotheque",
    domain="kati.lan",
    ssid="Bibliothèque d'été",
    wifi_password=KEY,
    language="fr",
    timezone="Africa/Bamako",
    admin_account=AdminAccount("maitre", PASSWORD),
    base="cardshop-amd64",
    contents=(),
    size="auto",
    branding=Branding(logo="1" * 64, main_colour="#a80030"),
)
NAME = "bibliotheque.kati.lan"
BOOKS = {
    "Lire à l'école.zim": ("Lire", {"accueil": "Bienvenue à la bibliothèque des chevaux."}, "fra"),
    "farm_en.zim": ("The farm", {"home": "Where the horses sleep."}, "eng"),
}
PROBES = (
    ("connectivitycheck.gstatic.com", "/generate_204"),
    ("clients3.google.com", "/generate_204"),
    ("www.google.com", "/gen_204"),
    ("captive.apple.com", "/hotspot-detect.html"),
    ("www.apple.com", "/library/test/success.html"),
    ("www.msftconnecttest.com", "/connecttest.txt"),
    ("www.msftconnecttest.com", "/redirect"),
    ("www.msftncsi.com", "/ncsi.txt"),
    ("detectportal.firefox.com", "/success.txt"),
    ("detectportal.firefox.com", "/canonical.html"),
    ("nmcheck.gnome.org", "/check_network_status.txt"),
    ("connectivity-check.ubuntu.com", "/"),
    ("spectrum.s3.amazonaws.com", "/kindle-wifi/wifistub.html"),
    ("example.org", "/any/page?of=it"),
)


@dataclass(frozen=True)
class Seen:
    """A card that was started once."""

    card: Path
    system: Path  # its root partition
    console: str

    def file(self, path: str) -> str:
        """A text file of the card's system."""
        return self.debugfs(f"cat {path}")

    def debugfs(self, request: str) -> str:
        """What debugfs says of the card's system."""
        return run(["debugfs", "-R", request, self.system], timeout=60).stdout.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("card")


@pytest.fixture(scope="module")
def card(folder: Path) -> tuple[Path, Layout]:
    """The recipe's card, written through the block map alone, and where its partitions are."""
    facts = base_facts("amd64")
    with serve_mirror() as mirror:
        contents = tuple(content_of(mirror, folder, name) for name in BOOKS)
        size = smallest_image(facts["root_bytes"], [content.size_bytes for content in contents])
        base = BaseReference(facts["name"], facts["sha256"])
        resolved = ResolvedRecipe(RECIPE, base, contents, "8 GB", size)
        configuration = card_configuration(
            resolved, lambda password: card_password_hash(password, "5a" * 32), lambda _name: sent(LOGO)
        )
        plan = ImagePlan("c0" * 32, size, base, contents, configuration)
        built = build(plan, Places(BASES, folder / "cache", folder / "work", WEB), lambda *_: None)
    used = folder / "used.img"
    with used.open("wb") as file:
        for _ in range(size // MIB):
            file.write(b"\xff" * MIB)
    run(["bmaptool", "copy", "--bmap", built.block_map, built.image, used], timeout=600)
    return used, layout(size, facts["root_bytes"])


def content_of(mirror: Mirror, folder: Path, name: str) -> Content:
    title, pages, language = BOOKS[name]
    return make_content(mirror, name, make_zim(folder / name, title, pages, language).read_bytes())


def smallest_image(root_bytes: int, contents: list[int]) -> int:
    size = -(-root_bytes // ALIGNMENT) * ALIGNMENT
    while not forecast(size, root_bytes, contents).fits:
        size += ALIGNMENT
    return size


@pytest.fixture(scope="class")
def guest(card: tuple[Path, Layout], folder: Path) -> Iterator[Guest]:
    """Somebody in the network of the card, which runs."""
    with guest_of(card[0], card[1].root_offset, folder / LOG, timeout=BOOT_SECONDS) as guest:
        yield guest


@pytest.fixture(scope="class")
def seen(card: tuple[Path, Layout], folder: Path) -> Seen:
    """The card after its first boot, its journal brought in as at the next start."""
    path, parts = card
    log = folder / LOG
    if not log.exists():  # the tests of the running card were left out
        with guest_of(path, parts.root_offset, log, timeout=BOOT_SECONDS):
            pass
    system = folder / "root"
    where = [f"skip={parts.root_offset // ALIGNMENT}", f"count={parts.root_bytes // ALIGNMENT}"]
    run(["dd", f"if={path}", f"of={system}", f"bs={ALIGNMENT}", "conv=sparse", *where], timeout=300)
    run(["e2fsck", "-f", "-p", system], timeout=300, allowed=(0, 1))
    return Seen(path, system, log.read_text(errors="replace"))


def test_a_used_card_that_was_written_through_the_block_map_is_sound(card: tuple[Path, Layout]) -> None:
    path, parts = card

    for offset in (parts.root_offset, parts.data_offset):
        run(["e2fsck", "-f", "-n", f"{path}?offset={offset}"], timeout=300)
    run(["mdir", "-b", "-s", "-i", f"{path}@@{BOOT_OFFSET}", "::/"], timeout=60)


class TestGuest:
    """While the card runs; in a class, since the machine is switched off after them."""

    def test_the_portal_lists_the_contents_in_the_recipes_language_and_looks(self, guest: Guest) -> None:
        page = guest.get(NAME, "/").text

        assert '<html lang="fr">' in page
        assert "<h1>Bibliothèque d'été</h1>" in page
        for title, words in (("Lire", "Français"), ("The farm", "English")):
            assert title in page
            assert words in page
        pictures = re.findall(r'<img src="([^"]+)"', page)
        assert len(pictures) == 1 + len(BOOKS)
        assert guest.get(NAME, pictures[0]).content == LOGO
        for address in pictures[1:]:
            assert guest.get(NAME, address).headers["Content-Type"] == "image/png"
        assert "#a80030" in guest.get(NAME, "/portal/portal.css").text

    def test_each_content_can_be_read_and_found(self, guest: Guest) -> None:
        page = guest.get(NAME, "/").text

        for (_, pages, language), word in zip(BOOKS.values(), ("cheval", "horse"), strict=True):
            (path, words) = next(iter(pages.items()))
            found = guest.get(NAME, f"/search?pattern={word}&books.filter.lang={language}&format=xml").text
            (link,) = map(html.unescape, re.findall(rf"<link>(/[^<?]+/{path})</link>", found))
            assert words in guest.get(NAME, link).content.decode()
            assert f'href="{link.removesuffix(path)}"' in page.replace("%27", "'")

    @pytest.mark.parametrize(("host", "path"), PROBES)
    def test_a_phones_question_after_the_internet_leads_to_the_portal(
        self, guest: Guest, host: str, path: str
    ) -> None:
        answer = guest.get(host, path)

        assert answer.status_code == 302
        assert answer.headers["Location"] == f"http://{NAME}/"
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("host", [NAME, NAME.upper(), "bibliotheque", ADDRESS])
    def test_the_cards_own_names_give_the_portal(self, guest: Guest, host: str) -> None:
        assert guest.get(host, "/").status_code == 200

    @pytest.mark.parametrize("name", [NAME, "bibliotheque", "connectivitycheck.gstatic.com", "example.org"])
    def test_every_name_leads_to_the_card(self, guest: Guest, name: str) -> None:
        assert guest.address_of(name, A) == (0, [struct.pack("4B", *map(int, ADDRESS.split(".")))])
        assert guest.address_of(name, AAAA) == (0, [])
        assert guest.address_of(name, HTTPS) == (0, [])


class TestAfterwards:
    """What first boot made of the card, read from it by debugfs."""

    def test_names_time_zone_and_language_are_the_recipes(self, seen: Seen) -> None:
        assert seen.file("/etc/hostname") == "bibliotheque\n"
        assert f"127.0.1.1 {NAME} bibliotheque\n" in seen.file("/etc/hosts")
        assert seen.file("/etc/timezone") == "Africa/Bamako\n"
        assert "/usr/share/zoneinfo/Africa/Bamako" in seen.debugfs("stat /etc/localtime")
        assert seen.file("/etc/locale.conf") == "LANG=fr_FR.UTF-8\n"

    def test_the_wifi_is_the_recipes_and_its_key_is_for_root_only(self, seen: Seen) -> None:
        lines = seen.file("/etc/hostapd/cardshop.conf").splitlines()

        assert f"ssid2={RECIPE.ssid.encode().hex()}" in lines
        assert f"wpa_passphrase={KEY}" in lines
        assert "Mode:  0600" in seen.debugfs("stat /etc/hostapd/cardshop.conf")

    def test_the_administrator_can_log_in_and_no_clear_password_is_anywhere(self, seen: Seen) -> None:
        accounts = dict(line.split(":")[:2] for line in seen.file("/etc/shadow").splitlines())

        assert bcrypt.checkpw(PASSWORD.encode(), accounts["maitre"].encode())
        assert {name for name, hashed in accounts.items() if hashed not in ("*", "!", "!*")} == {"maitre"}
        assert re.search(r"^sudo:x:\d+:maitre$", seen.file("/etc/group"), re.MULTILINE)
        assert not holds(seen.card, PASSWORD.encode())
        assert holds(seen.card, KEY.encode())  # the search finds what is there

    def test_the_console_tells_what_was_done_and_no_secret(self, seen: Seen) -> None:
        for line in (
            f"host name {NAME}",
            "time zone Africa/Bamako",
            "language fr, locale fr_FR.UTF-8",
            'Wi-Fi "Bibliothèque d\'été", with a passphrase',
            f"portal http://{NAME}/",
            "administrator maitre",
            "the card configuration is applied",
            f"ready at http://{NAME}",
        ):
            assert f"cardshop: {line}" in seen.console
        assert KEY not in seen.console

    def test_nothing_is_kept_of_what_was_read(self, seen: Seen) -> None:
        for log in ("access", "error"):  # the package has made both
            assert seen.file(f"/var/log/nginx/{log}.log") == ""
        assert not holds(seen.card, b"GET /search")

    def test_no_login_of_a_recipe_can_be_a_name_of_the_system(self, seen: Seen) -> None:
        lines = (seen.file("/etc/passwd") + seen.file("/etc/group")).splitlines()
        names = {line.split(":")[0] for line in lines}

        assert names - {"maitre"} <= SYSTEM_NAMES

    def test_the_configuration_on_the_boot_partition_is_the_recipes_without_its_pictures(
        self, seen: Seen
    ) -> None:
        told = run(["mtype", "-i", f"{seen.card}@@{BOOT_OFFSET}", "::/cardshop/recipe.json"], timeout=60)

        configuration = json.loads(told.stdout)
        assert configuration["ssid"] == RECIPE.ssid
        assert "branding" not in configuration


def holds(card: Path, words: bytes) -> bool:
    """Whether the words stand anywhere on the card, in a file or in what was deleted."""
    before = b""
    with card.open("rb") as file:
        while piece := file.read(16 * MIB):
            if words in before + piece:
                return True
            before = piece[-len(words) :]
    return False
