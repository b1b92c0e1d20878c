"""The rules of a recipe, the digest that names its image, and what the card gets of its secrets."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cardshop.contract.errors import InvalidInput
from scheduler.domain.branding import Branding
from scheduler.domain.recipes import (
    AdminAccount,
    Recipe,
    ResolvedRecipe,
    Vocabulary,
    card_configuration,
    check,
    digest,
)
from scheduler.seal import Seal, SealBroken
from scheduler.shop.passwords import card_password_hash
from scheduler.shop.vocabulary import vocabulary
from tests.shop import a_draft

WORDS = Vocabulary(languages={"en", "bam"}, timezones={"UTC", "Africa/Bamako"})
DIGEST_BEFORE_BRANDING = "75b67b183140766c13ce75b1b67af7f6247cac0b5a367a5ee89eea5805e4d2e7"
SEAL = Seal("a secret key of the tests, long enough")


def a_recipe(**changes: Any) -> Recipe:
    return replace(a_draft().resolved.recipe, **changes)


def resolved(**changes: Any) -> ResolvedRecipe:
    draft = a_draft().resolved
    return replace(draft, recipe=a_recipe(**changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 100),
        ("hostname", "a" * 63),
        ("hostname", "Kiwix-2"),
        ("domain", "hotspot.school"),
        ("ssid", "é" * 16),
        ("wifi_password", "8 chars!"),
        ("wifi_password", "x" * 63),
        ("wifi_password", "0123456789abcdefABCDEF" + "0" * 42),
        ("wifi_password", None),
        ("language", "bam"),
        ("timezone", "Africa/Bamako"),
        ("admin_account", AdminAccount("teacher", "long enough")),
        ("branding", Branding(main_colour="#1f5F8b", background_colour="#ffffff")),
    ],
)
def test_a_value_within_the_rules_is_taken(field: str, value: object) -> None:
    check(a_recipe(**{field: value}), WORDS)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("name", "", "name"),
        ("name", "   ", "name"),
        ("name", "x" * 101, "name"),
        ("name", "two\nlines", "name"),
        ("hostname", "", "hostname"),
        ("hostname", "a" * 64, "hostname"),
        ("hostname", "-kiwix", "hostname"),
        ("hostname", "kiwix-", "hostname"),
        ("hostname", "ki wix", "hostname"),
        ("hostname", "kiwix.hotspot", "hostname"),
        ("hostname", "kiwix\n", "hostname"),
        ("domain", "hotspot..school", "domain"),
        ("ssid", "", "ssid"),
        ("ssid", "é" * 17, "ssid"),
        ("ssid", "name\ninterface=eth0", "ssid"),
        ("wifi_password", "", "wifi_password"),
        ("wifi_password", "7 chars", "wifi_password"),
        ("wifi_password", "x" * 64, "wifi_password"),
        ("wifi_password", "pässword", "wifi_password"),
        ("wifi_password", "with\nline", "wifi_password"),
        ("language", "xx", "language"),
        ("timezone", "Mars/Olympus", "timezone"),
        ("timezone", "../etc/passwd", "timezone"),
        ("admin_account", AdminAccount("root", "long enough"), "admin_account.login"),
        ("admin_account", AdminAccount("a:b", "long enough"), "admin_account.login"),
        ("admin_account", AdminAccount("www-data", "long enough"), "admin_account.login"),
        ("admin_account", AdminAccount("sudo", "long enough"), "admin_account.login"),
        ("admin_account", AdminAccount("teacher", "short"), "admin_account.password"),
        ("branding", Branding(main_colour="red"), "branding.main_colour"),
        ("branding", Branding(background_colour="#fffffg"), "branding.background_colour"),
        ("contents", (), "contents"),
        ("contents", ("a:b:", "c:d:", "a:b:"), "contents[2]"),
    ],
)
def test_a_value_against_the_rules_is_refused_and_its_field_named(
    field: str, value: object, named: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(a_recipe(**{field: value}), WORDS)

    assert refused.value.field == named


def no_picture(name: str) -> str:
    raise AssertionError(name)


def test_an_error_about_a_secret_does_not_tell_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        check(a_recipe(wifi_password="s3cret"), WORDS)

    assert "s3cret" not in str(refused.value.to_wire())


def test_real_code_lists_know_languages_of_two_and_three_letters_and_time_zones() -> None:
    words = vocabulary()

    assert {"en", "fr", "eng", "bam", "ceb"} <= set(words.languages)
    assert {"UTC", "Africa/Bamako"} <= set(words.timezones)


def test_the_digest_is_the_same_for_the_same_recipe() -> None:
    recipe = resolved(wifi_password="reading-is-free")

    assert digest(recipe, SEAL.fingerprint) == digest(recipe, SEAL.fingerprint)
    assert len(digest(recipe, SEAL.fingerprint)) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: replace(whole, recipe=replace(whole.recipe, ssid="Other")),
        lambda whole: replace(whole, recipe=replace(whole.recipe, wifi_password="another key")),
        lambda whole: replace(whole, recipe=replace(whole.recipe, wifi_password=None)),
        lambda whole: replace(whole, recipe=replace(whole.recipe, admin_account=AdminAccount("a", "b" * 8))),
        lambda whole: replace(whole, recipe=replace(whole.recipe, branding=Branding(logo="1" * 64))),
        lambda whole: replace(whole, recipe=replace(whole.recipe, branding=Branding(main_colour="#000000"))),
        lambda whole: replace(whole, base=replace(whole.base, sha256="0" * 64)),
        lambda whole: replace(whole, size_bytes=whole.size_bytes + 4194304),
        lambda whole: replace(whole, contents=(replace(whole.contents[0], sha256="0" * 64),)),
    ],
)
def test_the_digest_is_another_when_the_card_would_be(
    change: Callable[[ResolvedRecipe], ResolvedRecipe],
) -> None:
    recipe = resolved(wifi_password="reading-is-free")

    assert digest(change(recipe), SEAL.fingerprint) != digest(recipe, SEAL.fingerprint)


def test_a_recipe_without_branding_has_the_digest_and_the_card_that_it_had_before_there_was_any() -> None:
    kept = a_draft().resolved.to_wire()
    del kept["recipe"]["branding"]

    old = ResolvedRecipe.from_wire(kept)

    assert digest(old, SEAL.fingerprint) == DIGEST_BEFORE_BRANDING
    assert "branding" not in card_configuration(old, str, no_picture)


def test_the_card_gets_the_pictures_of_its_branding() -> None:
    recipe = resolved(branding=Branding(logo="1" * 64, main_colour="#1f5f8b"))

    configuration = card_configuration(recipe, str, lambda name: f"picture {name[:3]}")

    assert configuration["branding"] == {
        "logo": "picture 111",
        "favicon": None,
        "main_colour": "#1f5f8b",
        "background_colour": None,
    }


def test_the_digest_does_not_depend_on_where_a_content_is_fetched_from() -> None:
    recipe = resolved()
    elsewhere = replace(recipe.contents[0], url="https://other/faq.zim", mirrors=("https://third/faq.zim",))

    moved = replace(recipe, contents=(elsewhere,), recipe=replace(recipe.recipe, size="auto"))

    assert digest(moved, SEAL.fingerprint) == digest(recipe, SEAL.fingerprint)


def test_the_digest_lets_nobody_guess_the_wifi_key() -> None:
    recipe = resolved(wifi_password="reading-is-free")

    guessed = digest(recipe, lambda secret: hashlib.sha256(secret.encode()).hexdigest())
    other_server = digest(recipe, Seal("another server's key, as long as it").fingerprint)

    assert digest(recipe, SEAL.fingerprint) not in (guessed, other_server)


def test_a_resolved_recipe_survives_the_database() -> None:
    recipe = resolved(admin_account=AdminAccount("teacher", "sealed"))

    assert ResolvedRecipe.from_wire(recipe.to_wire()) == recipe


def test_the_card_gets_the_wifi_key_but_only_a_hash_of_the_admin_password() -> None:
    recipe = resolved(wifi_password="reading-is-free", admin_account=AdminAccount("teacher", "for the card"))

    configuration = card_configuration(
        recipe, lambda password: card_password_hash(password, "ab" * 32), no_picture
    )

    assert configuration["wifi_passphrase"] == "reading-is-free"
    assert configuration["admin_account"]["login"] == "teacher"
    assert "for the card" not in str(configuration)
    assert configuration["contents"] == [
        {"ident": "demo:faq:", "title": "FAQ", "language": "eng", "file": "faq.zim"}
    ]


def test_the_card_gets_its_names_in_small_letters_as_guests_browsers_ask_for_them() -> None:
    configuration = card_configuration(resolved(hostname="Kiwix-2", domain="School.LAN"), str, no_picture)

    assert (configuration["hostname"], configuration["domain"]) == ("kiwix-2", "school.lan")


def test_the_card_s_own_crypt_takes_the_password_for_its_hash() -> None:
    made = card_password_hash("for the card", "5e" * 32)

    assert made.startswith("$2b$")
    assert crypt("for the card", made) == made
    assert crypt("for the cart", made) != made


def test_the_hash_on_the_card_is_the_same_in_each_build_and_another_in_another_image() -> None:
    assert card_password_hash("for the card", "ab" * 32) == card_password_hash("for the card", "ab" * 32)
    assert card_password_hash("for the card", "ab" * 32) != card_password_hash("for the card", "cd" * 32)


def test_what_is_sealed_opens_with_the_same_key_only() -> None:
    sealed = SEAL.seal("reading-is-free")

    assert "reading" not in sealed
    assert SEAL.open(sealed) == "reading-is-free"
    with pytest.raises(SealBroken):
        Seal("another server's key, as long as it").open(sealed)


def test_a_short_secret_key_is_refused() -> None:
    with pytest.raises(InvalidInput, match="32"):
        Seal("too short")


def crypt(password: str, setting: str) -> str:
    """``crypt(3)`` of this machine, which is Debian's libxcrypt as on the card."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made: bytes = library.crypt(password.encode(), setting.encode())
    return made.decode()
