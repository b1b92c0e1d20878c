"""Makes a card what its recipe says: names, language, time zone, access point, administrator.

Runs at each start, before the network, and does its work when the card configuration is not the one that
was applied last. Only the standard library is on the card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIGURATION = Path("boot/firmware/cardshop/recipe.json")
APPLIED = Path("var/lib/cardshop/applied")
"""Holds the SHA-256 of the configuration that was applied."""

ADDRESS = "192.168.144.1"
"""Ours on the access point, as in etc/systemd/network/20-access-point.network."""

ADMIN_ID = 1000
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(LABEL)
DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
PASSPHRASE = re.compile(r"[ -~]{8,63}|[0-9a-fA-F]{64}")
CRYPT = re.compile(r"\$[a-zA-Z0-9./$,=+-]+")
TIMEZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
LANGUAGE = re.compile(r"[a-z]{2,3}")


class BadConfiguration(Exception):
    """The card configuration can't be used; the message names the field and never its value."""


@dataclass(frozen=True)
class CardConfiguration:
    """What first boot needs of the card configuration, version 1; every value is valid."""

    hostname: str
    domain: str
    ssid: str
    passphrase: str | None
    language: str
    timezone: str
    admin: tuple[str, str] | None
    """Login and crypt(3) hash."""

    @classmethod
    def from_json(cls, text: bytes) -> CardConfiguration:
        """The configuration in a file's bytes.

        Raises:
            BadConfiguration: not JSON, another version, or a field that is missing or wrong.
        """
        try:
            wire = json.loads(text)
        except ValueError as error:
            raise BadConfiguration("it is not JSON") from error
        if not isinstance(wire, dict) or wire.get("version") != 1:
            raise BadConfiguration("its version is not 1")
        ssid = wire.get("ssid")
        if not isinstance(ssid, str) or not 1 <= len(ssid.encode()) <= 32:
            raise BadConfiguration("ssid must have 1 to 32 bytes")
        account = wire.get("admin_account")
        passphrase = wire.get("wifi_passphrase")
        return cls(
            hostname=_matching(wire, "hostname", HOSTNAME),
            domain=_matching(wire, "domain", DOMAIN),
            ssid=ssid,
            passphrase=None if passphrase is None else _matching(wire, "wifi_passphrase", PASSPHRASE),
            language=_matching(wire, "language", LANGUAGE),
            timezone=_matching(wire, "timezone", TIMEZONE),
            admin=None if account is None else _account(account),
        )


def _matching(wire: dict[str, Any], field: str, pattern: re.Pattern[str]) -> str:
    value = wire.get(field.rpartition(".")[2])
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadConfiguration(f"{field} is missing or wrong")
    return value


def _account(account: object) -> tuple[str, str]:
    if not isinstance(account, dict):
        raise BadConfiguration("admin_account is neither null nor an account")
    login = _matching(account, "admin_account.login", LOGIN)
    return login, _matching(account, "admin_account.password_hash", CRYPT)


def apply(configuration: CardConfiguration, root: Path) -> None:
    """Writes the configuration into the system under ``root``; the same again changes nothing.

    Raises:
        BadConfiguration: the time zone or the login can't be had on this system.
    """
    set_names(configuration, root)
    set_timezone(configuration.timezone, root)
    set_language(configuration.language, root)
    set_access_point(configuration, root)
    set_portal(configuration, root)
    set_administrator(configuration.admin, root)


def set_names(configuration: CardConfiguration, root: Path) -> None:
    """Host name and the names the machine knows itself by."""
    hostname, full = configuration.hostname, f"{configuration.hostname}.{configuration.domain}"
    write(root / "etc/hostname", f"{hostname}\n")
    hosts = ["127.0.0.1 localhost", f"127.0.1.1 {full} {hostname}", "::1 localhost ip6-localhost"]
    write(root / "etc/hosts", "\n".join(hosts) + "\n")
    if root == Path("/"):
        socket.sethostname(hostname)
    say(f"host name {full}")


def set_timezone(timezone: str, root: Path) -> None:
    """The system's time zone."""
    if not (root / "usr/share/zoneinfo" / timezone).is_file():
        raise BadConfiguration("timezone is not in this system's database")
    link = root / "etc/localtime"
    fresh = link.with_name("localtime.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(f"/usr/share/zoneinfo/{timezone}")
    fresh.replace(link)
    write(root / "etc/timezone", f"{timezone}\n")
    say(f"time zone {timezone}")


def set_language(language: str, root: Path) -> None:
    """The system's locale: the language's own country first (fr_FR), or C.UTF-8 where none is known."""
    short = two_letters(language, root)
    supported = (root / "usr/share/i18n/SUPPORTED").read_text().split()
    candidates = [name for name in supported if name.startswith(f"{short}_") and name.endswith(".UTF-8")]
    home = f"{short}_{short.upper()}.UTF-8"
    locale = home if home in candidates else next(iter(candidates), "C.UTF-8")
    if short == "en":
        locale = "C.UTF-8"  # the same messages, and nothing to compile
    elif root == Path("/") and locale != "C.UTF-8":
        source = locale.removesuffix(".UTF-8")
        subprocess.run(["/usr/bin/localedef", "-i", source, "-f", "UTF-8", locale], check=True)
    write(root / "etc/locale.conf", f"LANG={locale}\n")
    write(root / "etc/default/locale", f"LANG={locale}\n")
    say(f"language {language}, locale {locale}")


def two_letters(language: str, root: Path) -> str:
    """The language's code of two letters, as locales are named; the locales' own sources tell it."""
    if len(language) == 3:
        told = re.compile(rf'^lang_term\s+"{language}"', re.MULTILINE)
        short = re.compile(r'^lang_ab\s+"([a-z]{2})"', re.MULTILINE)
        for source in sorted((root / "usr/share/i18n/locales").glob("[a-z][a-z]_*")):
            text = source.read_text(errors="replace")
            if told.search(text) and (found := short.search(text)):
                return found[1]
    return language


def set_access_point(configuration: CardConfiguration, root: Path) -> None:
    """Configuration of hostapd and dnsmasq; the passphrase goes into the first one only, for root only."""
    lines = [
        "interface=wlan0",
        "driver=nl80211",
        f"ssid2={configuration.ssid.encode().hex()}",
        "utf8_ssid=1",
        "hw_mode=g",
        "channel=6",
        "ieee80211n=1",
        "wmm_enabled=1",
        "auth_algs=1",
    ]
    passphrase = configuration.passphrase
    if passphrase is not None:
        key = "wpa_psk" if len(passphrase) == 64 else "wpa_passphrase"
        lines += ["wpa=2", "wpa_key_mgmt=WPA-PSK", "rsn_pairwise=CCMP", f"{key}={passphrase}"]
    write(root / "etc/hostapd/cardshop.conf", "\n".join(lines) + "\n", mode=0o600)

    network = ADDRESS.rpartition(".")[0]
    names = [
        "interface=wlan0",
        "bind-dynamic",
        "no-resolv",
        "no-hosts",
        f"domain={configuration.domain}",
        # There is no internet behind the card: every name leads to it, and so every phone to the portal.
        f"address=/#/{ADDRESS}",
        "local=/#/",  # and has nothing else: asked for an IPv6 address, dnsmasq would refuse to answer
        f"dhcp-range={network}.10,{network}.250,12h",
        "dhcp-authoritative",
        "dhcp-leasefile=/run/cardshop-leases",
    ]
    write(root / "etc/cardshop/dnsmasq.conf", "\n".join(names) + "\n")
    say(f"Wi-Fi {configuration.ssid!r}, {'open' if passphrase is None else 'with a passphrase'}")


def set_portal(configuration: CardConfiguration, root: Path) -> None:
    """What the web server (etc/cardshop/nginx.conf) must know: the portal's address, and the card's names.

    A guest of the access point who asks by any other name is led to the portal. Where the card is a machine
    in somebody's network, that network's names for it are right too.
    """
    full = f"{configuration.hostname}.{configuration.domain}"
    ours = dict.fromkeys((full, configuration.hostname, ADDRESS))
    lines = [
        f'map "" $portal {{ default "http://{full}/"; }}',
        'map "$server_addr $host" $foreign {',
        "    default 0;",
        f'    "~^{re.escape(ADDRESS)} " 1;',
        *(f'    "{ADDRESS} {name}" 0;' for name in ours),
        "}",
    ]
    write(root / "etc/cardshop/names.conf", "\n".join(lines) + "\n")
    say(f"portal http://{full}/")


def set_administrator(admin: tuple[str, str] | None, root: Path) -> None:
    """The one account with a password, in the group sudo; an earlier recipe's account is taken away."""
    etc = root / "etc"
    passwd = _records(etc / "passwd")
    former = {entry[0] for entry in passwd if entry[2] == str(ADMIN_ID)}
    if admin is not None and any(entry[0] == admin[0] for entry in passwd if entry[0] not in former):
        raise BadConfiguration("admin_account.login is the system's own")
    passwd = [entry for entry in passwd if entry[0] not in former]
    shadow = [entry for entry in _records(etc / "shadow") if entry[0] not in former]
    groups = [entry for entry in _records(etc / "group") if entry[0] not in former]
    for group in groups:
        group[3] = ",".join(member for member in group[3].split(",") if member not in former)
    if admin is not None:
        login, password_hash = admin
        number = str(ADMIN_ID)
        passwd.append([login, "x", number, number, "Administrator", f"/home/{login}", "/bin/bash"])
        shadow.append([login, password_hash, "", "0", "99999", "7", "", "", ""])
        groups.append([login, "x", number, ""])
        for group in groups:
            if group[0] == "sudo":
                group[3] = ",".join(filter(None, [group[3], login]))
        home = root / "home" / login
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(home, ADMIN_ID, ADMIN_ID)
    for name, entries in (("group", groups), ("passwd", passwd), ("shadow", shadow)):
        write(etc / name, "".join(":".join(entry) + "\n" for entry in entries), mode=None)
    say("no administrator" if admin is None else f"administrator {admin[0]}")


def _records(path: Path) -> list[list[str]]:
    return [line.split(":") for line in path.read_text().splitlines()]


def write(path: Path, text: str, *, mode: int | None = 0o644) -> None:
    """Puts a whole file in place at once; ``mode`` None keeps the mode and owner of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if mode is None:
            before = path.stat()
            os.fchmod(descriptor, before.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(descriptor, before.st_uid, before.st_gid)
        else:
            os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def say(what: str) -> None:
    """One line for the journal and the console."""
    sys.stdout.write(f"cardshop: {what}\n")
    sys.stdout.flush()


def main() -> int:
    """Applies the card configuration, once; the exit status is 1 when it can't be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="the system's tree (default: /)")
    root: Path = parser.parse_args().root

    try:
        text = (root / CONFIGURATION).read_bytes()
        digest = hashlib.sha256(text).hexdigest()
        applied = root / APPLIED
        if applied.is_file() and applied.read_text().strip() == digest:
            say("the card configuration is applied already")
            return 0
        apply(CardConfiguration.from_json(text), root)
    except (BadConfiguration, OSError, subprocess.CalledProcessError) as error:
        say(f"the card configuration was not applied: {error}")
        return 1
    write(applied, f"{digest}\n")
    say("the card configuration is applied")
    return 0


if __name__ == "__main__":
    sys.exit(main())
