"""The last proof of an image: it is started in a virtual machine, and asked for what was ordered.

The card's own words on its serial console prove host name and Wi-Fi; its web server proves the portal and
each ZIM file, by the page that it begins with. The image is not changed.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from defusedxml.ElementTree import fromstring

from cardshop.contract.errors import BootFailed, ProgramFailed, Unavailable
from cardshop.machines import Machine
from cardshop.programs import run
from cardshop.virtual_machine import MachineEnded, VirtualMachine, boot, console_end
from creator.booted_card import BootedCard, Page
from creator.card import LIBRARY
from creator.portal_picture import take_picture

BOOT_SECONDS = 600.0
"""Until a card's portal answers: ten times what an emulated one takes on a host with nothing else to do."""

READY_SECONDS = 60.0
"""From the first page that the card gives to its own word that it is ready."""

LOOK_SECONDS = 0.5

_ATOM = "{http://www.w3.org/2005/Atom}"


@dataclass(frozen=True)
class Book:
    """A ZIM file of the card's library."""

    uuid: str
    file: str


@dataclass(frozen=True)
class BootProof:
    """What was seen of a card that runs as it was ordered."""

    seconds: float  # of all of it
    articles: int  # one of each ZIM file
    picture: str  # why there is no picture of the portal page; empty: there is one


def prove_boots(
    image: Path,
    machine: Machine,
    *,
    configuration: dict[str, Any],
    data_offset: int,
    picture: Path,
    timeout: float,
    tell: Callable[[int, int], None],
) -> BootProof:
    """Starts the image and waits until all that was ordered answers.

    Args:
        image: the built image; not changed.
        machine: what it is started in.
        configuration: what its first boot read.
        data_offset: where its data partition begins.
        picture: gets a picture of the portal page (PNG), where Chromium is installed.
        timeout: seconds until its portal must answer.
        tell: called with (done, total) steps.

    Raises:
        BootFailed: its kernel ends, or something that was ordered isn't there.
        Unavailable: it did not start, perhaps by the fault of this host.
    """
    begun = time.monotonic()
    books = books_in(image, data_offset)
    steps = 3 + len(books)
    tell(0, steps)
    try:
        serial_log = picture.with_suffix(".log")
        with boot(image, serial_log=serial_log, timeout=timeout, machine=machine) as running:
            tell(1, steps)
            full_name = f"{configuration['hostname']}.{configuration['domain']}"
            check_console(running, configuration, full_name)
            card = BootedCard(running.port, full_name)
            portal = checked_portal(card)
            tell(2, steps)
            for done, book in enumerate(books, start=3):
                check_book(card, portal, book)
                tell(done, steps)
            without = take_picture(f"http://{full_name}/", running.port, picture)
    except MachineEnded as error:
        raise BootFailed(f"The image does not start. {error.sentence}", hint=error.hint) from error
    except ProgramFailed as error:
        # It may be the host's fault: a full disk, or too much other work.
        raise Unavailable(f"The image did not start here. {error.sentence}", hint=error.hint) from error
    except OSError as error:
        raise Unavailable(f"The image could not be started here: {error}.") from error
    tell(steps, steps)
    return BootProof(round(time.monotonic() - begun, 3), len(books), without)


def books_in(image: Path, data_offset: int) -> tuple[Book, ...]:
    """The ZIM files in the image's library, as debugfs reads it.

    Raises:
        BootFailed: there is no library.
    """
    cat = ["debugfs", "-R", f"cat {LIBRARY}", f"{image}?offset={data_offset}"]
    try:
        library = fromstring(run(cat, timeout=60).text.strip())
    except ET.ParseError as error:
        raise BootFailed("The image has no library of its contents.") from error
    return tuple(Book(book.attrib["id"], book.attrib["path"]) for book in library.findall("book"))


def check_console(running: VirtualMachine, configuration: dict[str, Any], full_name: str) -> None:
    """The card says that it has the host name and the Wi-Fi that were ordered, and is ready.

    Raises:
        BootFailed: it doesn't, within a minute.
    """
    protection = "open" if configuration["wifi_passphrase"] is None else "with a passphrase"
    expected = {
        "the host name": f"cardshop: host name {full_name}",
        "the Wi-Fi": f"cardshop: Wi-Fi {configuration['ssid']!r}, {protection}",
        "its configuration": "cardshop: the card configuration is applied",
        "a library that is ready": f"cardshop: ready at http://{full_name}",
    }
    deadline = time.monotonic() + READY_SECONDS
    while missing := [what for what, line in expected.items() if line not in said(running)]:
        if time.monotonic() > deadline:
            raise BootFailed(
                f"The card that was started does not say that it has {' and '.join(missing)}.",
                hint=console_end(running.serial_log),
            )
        time.sleep(LOOK_SECONDS)  # a serial console tells nobody that it has a new line


def said(running: VirtualMachine) -> set[str]:
    """The card's own lines on its console; the kernel's may begin within one."""
    lines = (line[line.find("cardshop: ") :].strip() for line in running.console().splitlines())
    return set(lines)


def checked_portal(card: BootedCard) -> Page:
    """The portal page. Raises BootFailed when it is not a web page."""
    page = card.page("/")
    if not page.is_html:
        raise BootFailed(f"The card's portal page does not answer as it must ({page.said}).")
    return page


def check_book(card: BootedCard, portal: Page, book: Book) -> None:
    """The card's library has the ZIM file and gives its first page, and the portal leads there.

    Raises:
        BootFailed: it doesn't.
    """
    address = _addresses(card.page("/catalog/v2/entries?count=-1")).get(book.uuid)
    if address is None:
        raise BootFailed(f"The library of the card that was started does not have {book.file}.")
    if _last_name(address) not in {_last_name(link) for link in portal.links}:
        raise BootFailed(f"The portal of the card that was started does not lead to {book.file}.")
    page = card.page(address)
    if not (page.status == 200 and page.body):
        raise BootFailed(f"The card that was started does not give an article of {book.file} ({page.said}).")


def _last_name(address: str) -> str:
    """A book's name in an address, however that is spelt and wherever kiwix-serve puts it."""
    return unquote(address).rstrip("/").rpartition("/")[2]


def _addresses(catalogue: Page) -> dict[str, str]:
    """Where each book of the card's own catalogue begins, by its identifier."""
    try:
        feed = fromstring(catalogue.body)
    except ET.ParseError as error:
        raise BootFailed(f"The card's catalogue can't be read ({catalogue.said}).") from error
    found = {}
    for entry in feed.iter(f"{_ATOM}entry"):
        uuid = entry.findtext(f"{_ATOM}id", "").removeprefix("urn:uuid:")
        for link in entry.iter(f"{_ATOM}link"):
            if link.get("type") == "text/html":
                found[uuid] = link.get("href", "")
    return found
