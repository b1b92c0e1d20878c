"""A card that runs with a network for guests, and stays readable after it was switched off.

A virtual machine has no Wi-Fi, so the second of its network devices bears the Wi-Fi's name: one file on the
card says so, the one thing that is changed before it starts.
"""

from __future__ import annotations

import secrets
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from cardshop.machines import PC, command
from cardshop.programs import find, run
from cardshop.stack.ports import LOOPBACK, free_block
from cardshop.virtual_machine import STOP_SECONDS, wait_for_answer

ADDRESS = "192.168.144.1"
MAC = "52:54:00:c0:ff:ee"
LINK = f"[Match]\nMACAddress={MAC}\n[Link]\nName=wlan0\n"
A, AAAA, HTTPS = 1, 28, 65
"""Types of a question to a name server (RFC 1035, RFC 3596, RFC 9460)."""


@dataclass(frozen=True)
class Guest:
    """A phone in the card's network."""

    http_port: int
    dns_port: int
    card: Path
    """As it is after the machine was switched off, from then on."""

    def get(self, host: str, path: str) -> requests.Response:
        """What the card answers to who asks for a page by this name; redirects are not followed."""
        url = f"http://{LOOPBACK}:{self.http_port}{path}"
        return requests.get(url, headers={"Host": host}, allow_redirects=False, timeout=120)

    def address_of(self, name: str, kind: int) -> tuple[int, list[bytes]]:
        """The name server's verdict (0: no error) and its answers of that kind."""
        number = secrets.token_bytes(2)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = labels + b"\0" + struct.pack(">HH", kind, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(60)
            asking.sendto(
                number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + question, (LOOPBACK, self.dns_port)
            )
            told = asking.recv(4096)
        assert told[:2] == number
        flags, _, count = struct.unpack(">HHH", told[2:8])
        rest, answers = told[12 + len(question) :], []
        for _ in range(count):
            found, _, _, length = struct.unpack(">HHIH", rest[2:12])  # the name is a pointer of two bytes
            answers += [rest[12 : 12 + length]] if found == kind else []
            rest = rest[12 + length :]
        return flags & 0xF, answers


@contextmanager
def guest_of(card: Path, root_offset: int, serial_log: Path, *, timeout: float) -> Iterator[Guest]:
    """Starts the card; within, it runs. What it wrote is on the card afterwards.

    Args:
        card: a card's file; changed.
        root_offset: where its root partition begins.
        serial_log: made anew.
        timeout: seconds until its library must answer.
    """
    _name_the_network(card, root_offset)
    ports = free_block(3)
    forwards = f"hostfwd=tcp:{LOOPBACK}:{ports}-{ADDRESS}:80,hostfwd=udp:{LOOPBACK}:{ports + 1}-{ADDRESS}:53"
    # Not restrict=on, which swallows the answers of a forwarded UDP port. The card has no way out of it.
    network = f"user,id=guests,net=192.168.144.0/24,host=192.168.144.254,{forwards}"
    device = f"virtio-net-pci,netdev=guests,mac={MAC}"
    machine = replace(PC, options=(*PC.options, "-netdev", network), network=(*PC.network, "-device", device))
    with command(machine, card, http_port=ports + 2, serial_log=serial_log) as argv:
        argv[0] = find(argv[0])
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as qemu:
            try:
                wait_for_answer(qemu, ports + 2, serial_log, timeout)
                yield Guest(ports, ports + 1, card)
            finally:
                qemu.terminate()  # to the card it is as if its current were cut; QEMU writes what it holds
                qemu.wait(STOP_SECONDS)
        (written,) = serial_log.parent.glob("boot.part-*/card.qcow2")
        after = card.with_suffix(".after")
        run(["qemu-img", "convert", "-O", "raw", written, after], timeout=600)
    after.replace(card)


def _name_the_network(card: Path, root_offset: int) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".link") as file:
        file.write(LINK)
        file.flush()
        write = f"write {file.name} /etc/systemd/network/05-guests.link\n"
        run(["debugfs", "-w", "-f", "-", f"{card}?offset={root_offset}"], timeout=60, stdin=write.encode())
