"""Recipes: what goes on a card, the rules of its fields, and the digest that names the image.

A recipe's two secrets (the Wi-Fi key, the card's admin password) are in clear only while a request is
handled; :meth:`Recipe.with_secrets` turns them into their sealed form for the database and back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cardshop.contract import wire
from cardshop.contract.errors import InvalidInput
from cardshop.contract.tasks import DIRECT, BaseReference, Content
from scheduler.domain import offspot
from scheduler.domain.branding import Branding, check_branding, on_the_card
from scheduler.domain.offspot import OffspotRecipe

AUTO_SIZE = "auto"
"""Size of a recipe that takes the smallest medium it fits on."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
SYSTEM_NAMES = frozenset({
    "_apt", "_ssh", "adm", "audio", "backup", "bin", "bluetooth", "cdrom", "crontab", "daemon",
    "dialout", "dip", "disk", "dnsmasq", "fax", "floppy", "games", "input", "irc", "kmem", "kvm",
    "list", "lp", "mail", "man", "messagebus", "netdev", "news", "nobody", "nogroup", "operator",
    "plugdev", "proxy", "render", "root", "sasl", "sgx", "shadow", "src", "ssh", "sshd", "staff",
    "sudo", "sync", "sys", "systemd-coredump", "systemd-journal", "systemd-network", "systemd-resolve",
    "systemd-timesync", "tape", "tty", "users", "utmp", "uucp", "video", "voice", "www-data",
})  # fmt: skip
"""Accounts and groups that a Debian system has, or gets with its packages: no person's login."""
_DIGEST_VERSION = 1


@dataclass(frozen=True)
class AdminAccount:
    """The account that administers the card."""

    login: str
    password: str


@dataclass(frozen=True)
class Recipe:
    """What goes on a card, as a person wrote it."""

    name: str
    hostname: str
    domain: str
    ssid: str
    wifi_password: str | None  # None: an open network
    language: str  # of the interface, ISO 639
    timezone: str
    admin_account: AdminAccount | None
    base: str
    contents: tuple[str, ...]  # idents in the catalogue
    size: str  # a medium's name, or "auto"
    branding: Branding | None = None
    offspot: OffspotRecipe | None = None  # it came as an Offspot YAML, which says what goes on the card

    def with_secrets(self, turn: Callable[[str], str]) -> Recipe:
        """The recipe with each secret turned (sealed, or opened) by ``turn``."""
        account = self.admin_account
        return replace(
            self,
            wifi_password=None if self.wifi_password is None else turn(self.wifi_password),
            admin_account=account and replace(account, password=turn(account.password)),
            offspot=self.offspot and offspot.turned(self.offspot, turn(self.offspot.document)),
        )


@dataclass(frozen=True)
class ResolvedRecipe:
    """A recipe at the moment of an order: each content and the base pinned by checksum, a size chosen."""

    recipe: Recipe
    base: BaseReference
    contents: tuple[Content, ...]
    medium: str
    size_bytes: int  # of the image

    def with_secrets(self, turn: Callable[[str], str]) -> ResolvedRecipe:
        """As :meth:`Recipe.with_secrets`."""
        return replace(self, recipe=self.recipe.with_secrets(turn))

    def to_wire(self) -> dict[str, Any]:
        """JSON types, for the database."""
        fields: dict[str, Any] = wire.to_wire(self)
        return fields

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> ResolvedRecipe:
        """Reads what :meth:`to_wire` wrote."""
        return wire.from_wire(cls, data)


@dataclass(frozen=True)
class Vocabulary:
    """Code lists that the rules need; they come from outside, since they change."""

    languages: Collection[str]  # ISO 639, two and three letters
    timezones: Collection[str]  # names of the tz database


def check(recipe: Recipe, vocabulary: Vocabulary) -> None:
    """Checks the rules that need no catalogue; secrets must be in clear.

    Raises:
        InvalidInput: for the first rule that is broken; ``field`` names the field.
    """
    _check_name(recipe.name)
    _check_host(recipe.hostname, "hostname")
    _check_host(recipe.domain, "domain")
    _check_ssid(recipe.ssid)
    if recipe.wifi_password is not None:
        _check_wifi_password(recipe.wifi_password)
    if recipe.language not in vocabulary.languages:
        raise InvalidInput(
            f"{recipe.language!r} is no ISO 639 language code.",
            hint="For example: en, fr, bam.",
            field="language",
        )
    if recipe.timezone not in vocabulary.timezones:
        raise InvalidInput(
            f"{recipe.timezone!r} is no time zone.", hint="For example: UTC, Africa/Bamako.", field="timezone"
        )
    if recipe.admin_account:
        _check_admin_account(recipe.admin_account)
    if recipe.branding:
        check_branding(recipe.branding)
    if not recipe.contents and not recipe.offspot:
        raise InvalidInput("A recipe has at least one content.", field="contents")
    check_distinct(recipe.contents)


def check_distinct(contents: Sequence[str]) -> None:
    """Raises InvalidInput for a content that is there twice: a card holds it once."""
    for index, ident in enumerate(contents):
        if ident in contents[:index]:
            raise InvalidInput(f"The content {ident} is there twice.", field=f"contents[{index}]")


def digest(resolved: ResolvedRecipe, fingerprint: Callable[[str], str]) -> str:
    """The name of the image that ``resolved`` gives: 64 hex digits.

    Args:
        resolved: its secrets in clear.
        fingerprint: a keyed hash of a secret. With a bare hash the name, which everyone sees, would let the
            Wi-Fi key be guessed.
    """
    pinned = resolved.with_secrets(fingerprint)
    recipe = wire.to_wire(pinned.recipe)
    for chosen in ("size", "base", "contents", "offspot"):  # what they came to is pinned below
        del recipe[chosen]
    if pinned.recipe.branding is None:
        del recipe["branding"]  # an image has the name that it had before there was branding
    if pinned.recipe.offspot:
        recipe["offspot"] = pinned.recipe.offspot.document
    named = {
        "version": _DIGEST_VERSION,
        "recipe": recipe,
        "base": wire.to_wire(pinned.base),
        "contents": [
            {
                "ident": content.ident,
                "title": content.title,
                "language": content.language,
                "file": content.file,
                "size_bytes": content.size_bytes,
                "sha256": content.sha256,
                **({"via": content.via} if content.via != DIRECT else {}),
            }
            for content in pinned.contents
        ],
        "size_bytes": pinned.size_bytes,
    }
    canonical = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def card_configuration(
    resolved: ResolvedRecipe, hash_password: Callable[[str], str], picture: Callable[[str], str]
) -> dict[str, Any]:
    """What the card's first boot reads (``/cardshop/recipe.json``); it holds the recipe's secrets.

    Args:
        resolved: its secrets in clear.
        hash_password: makes a ``crypt(3)`` hash, which is all of the admin password that the card gets.
        picture: a kept picture's bytes in base64, by its SHA-256.
    """
    recipe = resolved.recipe
    account = recipe.admin_account
    branding = {"branding": on_the_card(recipe.branding, picture)} if recipe.branding else {}
    return {
        "version": 1,
        "name": recipe.name,
        "hostname": recipe.hostname.lower(),
        "domain": recipe.domain.lower(),
        "ssid": recipe.ssid,
        "wifi_passphrase": recipe.wifi_password,
        "language": recipe.language,
        "timezone": recipe.timezone,
        "admin_account": account
        and {"login": account.login, "password_hash": hash_password(account.password)},
        "contents": [
            {"ident": item.ident, "title": item.title, "language": item.language, "file": item.file}
            for item in resolved.contents
        ],
        **branding,
    }


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 100 or not name.isprintable() or not name.strip():
        raise InvalidInput("A recipe's name has 1 to 100 printable characters.", field="name")


def _check_host(name: str, field: str) -> None:
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidInput(
            f"{name!r} is no host name.",
            hint="Labels of 1 to 63 letters, digits and inner hyphens.",
            field=field,
        )
    if field == "hostname" and len(labels) > 1:
        raise InvalidInput("The host name is one label, without dots.", hint="Use the domain.", field=field)


def _check_ssid(ssid: str) -> None:
    if not 1 <= len(ssid.encode()) <= 32 or not ssid.isprintable():
        raise InvalidInput("The Wi-Fi name has 1 to 32 bytes of printable UTF-8.", field="ssid")


def _check_wifi_password(key: str) -> None:
    printable = 8 <= len(key) <= 63 and all(" " <= character <= "~" for character in key)
    if not (printable or _HEX_KEY.fullmatch(key)):
        raise InvalidInput(
            "The Wi-Fi password is no WPA2 key.",
            hint="8 to 63 printable ASCII characters, or 64 hexadecimal digits.",
            field="wifi_password",
        )


def _check_admin_account(account: AdminAccount) -> None:
    if not _LOGIN.fullmatch(account.login):
        raise InvalidInput(
            "The admin login has 1 to 32 lower-case letters, digits, hyphens and underscores, and begins "
            "with a letter or an underscore.",
            field="admin_account.login",
        )
    if account.login in SYSTEM_NAMES:
        raise InvalidInput(
            f"The admin login {account.login} is a name of the card's own system.",
            hint="Take another one, for example the administrator's first name.",
            field="admin_account.login",
        )
    if not 8 <= len(account.password.encode()) <= 72 or "\0" in account.password:
        raise InvalidInput("The admin password has 8 to 72 bytes.", field="admin_account.password")
