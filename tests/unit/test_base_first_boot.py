"""First boot: what a card makes of its recipe, run against a small tree in the place of a system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import creator.base

SCRIPT = Path(creator.base.__file__).parent / "files/common/usr/lib/cardshop/first_boot.py"
PASSPHRASE = "correct horse"
HASH = "$6$salt$" + "x" * 86


def configuration(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "version": 1,
        "name": "School",
        "hostname": "school",
        "domain": "hotspot",
        "ssid": "École",
        "wifi_passphrase": PASSPHRASE,
        "language": "fr",
        "timezone": "Africa/Bamako",
        "admin_account": {"login": "ada", "password_hash": HASH},
        "contents": [],
    }
    return made | changes


def system(folder: Path) -> Path:
    """The files of a system that first boot reads or changes."""
    root = folder / "system"
    texts = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "etc/shadow": "root:*:20000:0:99999:7:::\n",
        "etc/group": "root:x:0:\nsudo:x:27:\n",
        "etc/hostname": "kiwix\n",
        "usr/share/zoneinfo/Africa/Bamako": "",
        "usr/share/zoneinfo/UTC": "",
        "usr/share/i18n/SUPPORTED": "fr_BE.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\nfr_FR ISO-8859-1\nsw_KE UTF-8\n",
        "boot/firmware/cardshop/keep": "",
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "etc/shadow").chmod(0o640)
    return root


def first_boot(root: Path, recipe: object) -> subprocess.CompletedProcess[str]:
    text = recipe if isinstance(recipe, str) else json.dumps(recipe)
    (root / "boot/firmware/cardshop/recipe.json").write_text(text)
    argv = [sys.executable, str(SCRIPT), "--root", str(root)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (root / "etc").rglob("*") if path.is_file()}


def test_the_card_gets_its_names_its_time_zone_and_its_language(tmp_path: Path) -> None:
    root = system(tmp_path)

    done = first_boot(root, configuration())

    assert done.returncode == 0, done.stdout
    assert (root / "etc/hostname").read_text() == "school\n"
    assert "127.0.1.1 school.hotspot school\n" in (root / "etc/hosts").read_text()
    assert str((root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Africa/Bamako"
    assert (root / "etc/timezone").read_text() == "Africa/Bamako\n"
    assert (root / "etc/locale.conf").read_text() == "LANG=fr_FR.UTF-8\n"


@pytest.mark.parametrize(("language", "locale"), [("fra", "fr_FR.UTF-8"), ("xyz", "C.UTF-8")])
def test_a_language_of_three_letters_has_the_locale_of_its_two(
    tmp_path: Path, language: str, locale: str
) -> None:
    root = system(tmp_path)
    locales = root / "usr/share/i18n/locales"
    locales.mkdir()
    (locales / "fr_BE").write_text('lang_ab      "fr"\nlang_term    "fra"\n')

    first_boot(root, configuration(language=language))

    assert (root / "etc/locale.conf").read_text() == f"LANG={locale}\n"


@pytest.mark.parametrize("language", ["en", "xyz"])
def test_a_language_without_a_locale_of_its_own_is_still_shown_in_utf_8(
    tmp_path: Path, language: str
) -> None:
    root = system(tmp_path)

    done = first_boot(root, configuration(language=language))

    assert done.returncode == 0
    assert (root / "etc/locale.conf").read_text() == "LANG=C.UTF-8\n"


def test_the_access_point_has_the_recipes_name_and_passphrase(tmp_path: Path) -> None:
    root = system(tmp_path)

    first_boot(root, configuration())

    lines = (root / "etc/hostapd/cardshop.conf").read_text().splitlines()
    assert f"ssid2={'École'.encode().hex()}" in lines
    assert {"wpa=2", "wpa_key_mgmt=WPA-PSK", "rsn_pairwise=CCMP"} <= set(lines)
    assert f"wpa_passphrase={PASSPHRASE}" in lines


def test_a_raw_key_of_64_hexadecimal_digits_is_not_hashed_again(tmp_path: Path) -> None:
    root = system(tmp_path)

    first_boot(root, configuration(wifi_passphrase="0f" * 32))

    assert f"wpa_psk={'0f' * 32}" in (root / "etc/hostapd/cardshop.conf").read_text().splitlines()


def test_a_card_without_a_passphrase_is_an_open_network(tmp_path: Path) -> None:
    root = system(tmp_path)

    first_boot(root, configuration(wifi_passphrase=None))

    assert "wpa" not in (root / "etc/hostapd/cardshop.conf").read_text()


def test_the_passphrase_is_in_one_file_that_only_root_reads(tmp_path: Path) -> None:
    root = system(tmp_path)

    done = first_boot(root, configuration())

    holders = [path for path, content in everything(root).items() if PASSPHRASE.encode() in content]
    assert holders == [str(root / "etc/hostapd/cardshop.conf")]
    assert (root / "etc/hostapd/cardshop.conf").stat().st_mode & 0o777 == 0o600
    assert PASSPHRASE not in done.stdout + done.stderr


def test_guests_are_told_the_cards_address(tmp_path: Path) -> None:
    root = system(tmp_path)
    network = SCRIPT.parents[3] / "etc/systemd/network/20-access-point.network"

    first_boot(root, configuration())

    lines = (root / "etc/cardshop/dnsmasq.conf").read_text().splitlines()
    address = next(line for line in lines if line.startswith("address=/#/")).rpartition("/")[2]
    assert f"Address={address}/24" in network.read_text()
    assert "local=/#/" in lines  # else a question for another kind of address is refused, not answered


def test_a_guest_who_asks_by_a_name_that_is_not_the_cards_is_led_to_the_portal(tmp_path: Path) -> None:
    root = system(tmp_path)

    first_boot(root, configuration())

    lines = (root / "etc/cardshop/names.conf").read_text().splitlines()
    assert 'map "" $portal { default "http://school.hotspot/"; }' in lines
    ours = [line.split('"')[1] for line in lines if line.endswith('" 0;')]
    assert ours == [f"192.168.144.1 {name}" for name in ("school.hotspot", "school", "192.168.144.1")]


def test_the_administrator_has_the_hash_and_may_use_sudo(tmp_path: Path) -> None:
    root = system(tmp_path)

    first_boot(root, configuration())

    assert "ada:x:1000:1000:Administrator:/home/ada:/bin/bash" in (root / "etc/passwd").read_text()
    assert f"ada:{HASH}:" in (root / "etc/shadow").read_text()
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert "sudo:x:27:ada\n" in (root / "etc/group").read_text()
    assert (root / "home/ada").is_dir()


def test_an_applied_configuration_is_left_alone(tmp_path: Path) -> None:
    root = system(tmp_path)
    first_boot(root, configuration())
    (root / "etc/hostname").write_text("changed-by-the-administrator\n")

    done = first_boot(root, configuration())

    assert done.returncode == 0
    assert (root / "etc/hostname").read_text() == "changed-by-the-administrator\n"


def test_a_changed_configuration_is_applied_and_its_former_administrator_is_gone(tmp_path: Path) -> None:
    root = system(tmp_path)
    first_boot(root, configuration())

    account = {"login": "grace", "password_hash": HASH}
    first_boot(root, configuration(hostname="library", admin_account=account))

    assert (root / "etc/hostname").read_text() == "library\n"
    for name in ("passwd", "shadow", "group"):
        text = (root / "etc" / name).read_text()
        assert "grace" in text
        assert "ada" not in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("hostname", "a b"),
        ("hostname", "name\n"),
        ("domain", "hot/spot"),
        ("ssid", ""),
        ("ssid", "é" * 17),
        ("wifi_passphrase", "short"),
        ("wifi_passphrase", "long enough\ninterface=eth0"),
        ("language", "../x"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "Mars/Olympus"),
        ("admin_account", {"login": "ada:x", "password_hash": HASH}),
        ("admin_account", {"login": "ada", "password_hash": "$6$x:\nroot::"}),
        ("admin_account", {"login": "root", "password_hash": HASH}),
    ],
)
def test_a_wrong_value_is_named_and_never_repeated(tmp_path: Path, field: str, value: object) -> None:
    root = system(tmp_path)

    done = first_boot(root, configuration(**{field: value}))

    assert done.returncode == 1
    assert field in done.stdout
    assert not (root / "var/lib/cardshop/applied").exists()
    if isinstance(value, str) and value:
        assert value not in done.stdout


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_what_is_not_a_configuration_changes_nothing(tmp_path: Path, text: str) -> None:
    root = system(tmp_path)
    before = everything(root)

    done = first_boot(root, text)

    assert done.returncode == 1
    assert everything(root) == before


def test_a_card_without_a_configuration_says_so(tmp_path: Path) -> None:
    root = system(tmp_path)

    argv = [sys.executable, str(SCRIPT), "--root", str(root)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 1
    assert "recipe.json" in done.stdout
