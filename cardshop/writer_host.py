"""The configuration of a host of writers: one TOML file that every writer reads and writer-helper edits.

``docs/technician.md`` explains each field. All that is wrong is told at once, each with the field's full
name (``slots[2].path``); a field that is not known is wrong too, so that a typing error is not lost.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cardshop.contract.errors import InvalidInput, NotFound
from cardshop.contract.names import SLOT_NAME
from cardshop.settings import Address, variable

VERSION = 1
DEFAULT_FILE = Path("/etc/cardshop/writers.toml")
DEFAULT_DATA = Path("/var/lib/cardshop")
DEFAULT_CACHE_BYTES = 200_000_000_000
DEFAULT_BROKER_PORT = 5671
DEFAULT_IMAGE = "cardshop-writer"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
OPEN_TO_OTHERS = 0o007

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

T = TypeVar("T")


class Run(StrEnum):
    """What keeps the writers running."""

    DOCKER = "docker"  # a container each, started at boot
    SYSTEMD = "systemd"  # a unit each, started at boot
    PROCESS = "process"  # a process each, until the host goes down: for a desk


@dataclass(frozen=True)
class ConfiguredSlot:
    """A slot and the account of its writer. Both parts of the account are empty until it is enrolled."""

    name: str  # its letter
    path: Path  # of the card reader's place (/dev/disk/by-path/...), or the folder of a virtual slot
    username: str = ""
    password: str = field(default="", repr=False)
    fixed_device: str = ""  # a device that is allowed here though it doesn't say it is removable: its name


@dataclass(frozen=True)
class WriterHost:
    """All that the file says."""

    scheduler_url: str
    ca_file: Path
    broker: Address
    proxy: str = ""  # for the scheduler only; RabbitMQ and the warehouse are reached directly
    run: Run = Run.DOCKER
    image: str = DEFAULT_IMAGE  # of the writer's container
    python: str = ""  # the interpreter that has the writer, for units and processes; ours when empty
    data: Path = DEFAULT_DATA  # images, and what each writer knows of the card in its slot
    cache_bytes: int = DEFAULT_CACHE_BYTES
    log_level: str = "INFO"
    slots: tuple[ConfiguredSlot, ...] = ()

    def slot(self, name: str) -> ConfiguredSlot:
        """The slot of that name. Raises NotFound."""
        for slot in self.slots:
            if slot.name == name:
                return slot
        known = ", ".join(slot.name for slot in self.slots) or "none yet"
        raise NotFound(f"There is no slot {name} in the configuration; there are: {known}.", field="slots")

    def variables(self, slot_name: str) -> dict[str, str]:
        """The settings of the writer of one slot, as ``cardshop.settings`` reads them.

        Raises:
            NotFound: there is no such slot.
            InvalidInput: its writer has no account yet.
        """
        slot = self.slot(slot_name)
        if not (slot.username and slot.password):
            raise InvalidInput(
                f"The writer of slot {slot.name} has no account at the scheduler yet.",
                hint="Enrol this host with writer-helper, or give the writer a user name and password.",
                field=f"slots[{self.slots.index(slot) + 1}].username",
            )
        values = {
            "scheduler_url": self.scheduler_url,
            "ca_file": self.ca_file,
            "broker_host": self.broker.host,
            "broker_port": self.broker.port,
            "log_level": self.log_level,
            "cache": self.data / "images",
            "cache_bytes": self.cache_bytes,
            "state": self.data / "slots" / slot.name,
            "slot": slot.name,
            "slot_path": slot.path,
            "fixed_device": slot.fixed_device,
            "username": slot.username,
            "password": slot.password,
        }
        return {variable(name): str(value) for name, value in values.items()}


def load(path: Path) -> WriterHost:
    """The configuration in a file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is open to other users, can't be read, or says something wrong.
    """
    try:
        if path.stat().st_mode & OPEN_TO_OTHERS:
            raise InvalidInput(
                f"{path} holds passwords and is open to other users.", hint=f"Run: chmod 600 {path}"
            )
        return parse(path.read_text())
    except FileNotFoundError as error:
        raise NotFound(
            f"There is no configuration {path}.", hint="Make one: writer-helper configure new"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}.", hint="Only its owner may read it.") from error


def parse(text: str) -> WriterHost:
    """The configuration that a TOML document holds.

    Raises:
        InvalidInput: every fault, a line each; ``field`` is the first one's name.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"The configuration is no TOML: {error}.", hint="Strings need quotes.") from error
    problems: list[tuple[str, str]] = []
    top = _Table(document, "", problems)
    if top.take("version", int, VERSION) != VERSION:
        top.refuse("version", f"this program knows version {VERSION}")
    scheduler, broker = top.table("scheduler"), top.table("broker")
    writers, docker = top.table("writers"), top.table("docker")
    slots = [_slot(table) for table in top.tables("slots")]
    _refuse_doubles(slots, problems)
    host = WriterHost(
        scheduler_url=scheduler.take("url", str, rule=_https_url).rstrip("/"),
        ca_file=scheduler.path("ca_file"),
        proxy=scheduler.take("proxy", str, "", rule=_proxy_url),
        broker=Address(
            broker.take("host", str, rule=_host_name),
            broker.take("port", int, DEFAULT_BROKER_PORT, rule=_port),
        ),
        run=Run(writers.take("run", str, Run.DOCKER.value, rule=_one_of(*Run))),
        python=writers.take("python", str, ""),
        data=writers.path("data", DEFAULT_DATA),
        cache_bytes=writers.take("cache_bytes", int, DEFAULT_CACHE_BYTES, rule=_positive),
        log_level=writers.take("log_level", str, "INFO", rule=_one_of(*LOG_LEVELS)),
        image=docker.take("image", str, DEFAULT_IMAGE, rule=_not_empty),
        slots=tuple(slots),
    )
    for table in (top, scheduler, broker, writers, docker):
        table.refuse_rest()
    if problems:
        lines = [f"{name}: {what}" for name, what in problems]
        raise InvalidInput("The configuration is wrong:\n  " + "\n  ".join(lines), field=problems[0][0])
    return host


def wrong_slot_name(text: str) -> str:
    """What is wrong with the name of a slot; "" when nothing is."""
    return "" if SLOT_NAME.fullmatch(text) else "must be 1 to 16 letters, digits or hyphens"


class _Table:
    """One table of the document. What is wrong in it is added to ``problems``, and a stand-in is given."""

    def __init__(self, content: Mapping[str, Any], prefix: str, problems: list[tuple[str, str]]) -> None:
        self._content = dict(content)
        self._prefix = prefix
        self._problems = problems

    def take(
        self, key: str, kind: type[T], default: T | None = None, rule: Callable[[T], str] | None = None
    ) -> T:
        """The value of ``key``. ``rule`` tells what is wrong with a value, "" when nothing is."""
        value = self._content.pop(key, default)
        fallback = kind() if default is None else default
        if value is None:
            self.refuse(key, "is missing")
        elif not isinstance(value, kind) or isinstance(value, bool):
            self.refuse(key, f"must be {_KINDS[kind]}")
        elif rule is not None and (wrong := rule(value)):
            self.refuse(key, wrong)
        else:
            return value
        return fallback

    def path(self, key: str, default: Path | None = None) -> Path:
        """A path, which must be absolute: writers have other working folders."""
        return Path(self.take(key, str, str(default) if default else None, rule=_absolute))

    def table(self, key: str) -> _Table:
        """A table inside; an empty one when it is absent."""
        return _Table(self._inner(key, dict, {}), f"{self._prefix}{key}.", self._problems)

    def tables(self, key: str) -> list[_Table]:
        """An array of tables, counted from 1 as a person does."""
        found = []
        for number, content in enumerate(self._inner(key, list, []), 1):
            if isinstance(content, dict):
                found.append(_Table(content, f"{key}[{number}].", self._problems))
            else:
                self.refuse(f"{key}[{number}]", f"must be a table: [[{key}]]")
        return found

    def refuse(self, key: str, what: str) -> None:
        """Says what is wrong with a field."""
        self._problems.append((f"{self._prefix}{key}", what))

    def refuse_rest(self) -> None:
        """Says that what nobody took is unknown."""
        for key in self._content:
            self.refuse(key, "is not known here; is it spelled right?")

    def _inner(self, key: str, kind: type[T], default: T) -> T:
        value = self._content.pop(key, default)
        if isinstance(value, kind):
            return value
        self.refuse(key, f"must be {_KINDS[kind]}")
        return default


def _slot(table: _Table) -> ConfiguredSlot:
    slot = ConfiguredSlot(
        name=table.take("name", str, rule=wrong_slot_name),
        path=table.path("path"),
        username=table.take("username", str, "", rule=_user_name),
        password=table.take("password", str, ""),
        fixed_device=table.take("fixed_device", str, ""),
    )
    if bool(slot.username) != bool(slot.password):
        table.refuse("password" if slot.username else "username", "an account needs both")
    table.refuse_rest()
    return slot


def _refuse_doubles(slots: list[ConfiguredSlot], problems: list[tuple[str, str]]) -> None:
    """Two writers on one slot would each overwrite the other's card; two with one account, get its tasks."""
    for key in ("name", "path", "username"):
        seen: dict[object, int] = {}
        for number, slot in enumerate(slots, 1):
            value = getattr(slot, key)
            if value in seen and str(value) not in ("", "."):
                problems.append((f"slots[{number}].{key}", f"is that of slots[{seen[value]}] too: {value}"))
            seen.setdefault(value, number)


def _https_url(text: str) -> str:
    parts = urlsplit(text)
    good = parts.scheme == "https" and parts.hostname and not parts.username and parts.path in ("", "/")
    return "" if good else "must be like https://scheduler.example.org:8443"


def _proxy_url(text: str) -> str:
    parts = urlsplit(text)
    if not text or (parts.scheme in ("http", "https") and parts.hostname and not parts.username):
        return ""
    return "must be like http://proxy.example.org:3128, without a password"


def _host_name(text: str) -> str:
    return "" if text and not set(text) & set("/ :@") else "must be a host name or address, nothing more"


def _port(number: int) -> str:
    return "" if 0 < number < 65536 else "must be between 1 and 65535"


def _positive(number: int) -> str:
    return "" if number > 0 else "must be more than 0"


def _not_empty(text: str) -> str:
    return "" if text else "must not be empty"


def _absolute(text: str) -> str:
    return "" if text.startswith("/") else "must be an absolute path, beginning with /"


def _user_name(text: str) -> str:
    good = not text or _USERNAME.fullmatch(text)
    return "" if good else "must be small letters, digits, dots, hyphens and underscores"


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda text: "" if text in words else f"must be one of: {', '.join(words)}"


_KINDS: dict[type, str] = {
    str: "a text in quotes",
    int: "a whole number",
    dict: "a table",
    list: "a list of tables",
}
