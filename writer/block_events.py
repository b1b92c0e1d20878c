"""Says when something happens to a block device of the host: a reader is plugged in, a card comes or goes.

The kernel tells it to whoever listens (netlink, ``NETLINK_KOBJECT_UEVENT``; ``linux/netlink.h``), and udev
again when it has made its links (``/dev/disk/by-path``): both are heard. A container with a network of its
own hears nothing, and a reader without a sense for its card tells nothing: so an event is a reason to look at
once, and its absence none not to look. For the same reason nothing that stands in it is believed.
"""

from __future__ import annotations

import select
import socket

import structlog

_UEVENTS = 15  # NETLINK_KOBJECT_UEVENT
_GROUPS = 1 | 2  # the kernel's, udev's
_LARGEST_BYTES = 16 * 1024
_BLOCK = b"SUBSYSTEM=block\0"

log = structlog.get_logger(__name__)


class BlockEvents:
    """An open ear; for one thread."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _UEVENTS)
        self._socket.setblocking(False)
        try:
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            log.warning("no events of block devices: slots are looked at in intervals", why=str(error))

    def wait(self, seconds: float) -> bool:
        """Waits until something happens, at most so long; whether something did."""
        readable, _, _ = select.select([self._socket], [], [], seconds)
        return bool(readable) and self._drained()

    def close(self) -> None:
        """Hears nothing more."""
        self._socket.close()

    def _drained(self) -> bool:
        """Takes all that has come; whether any of it was about a block device."""
        heard = False
        while True:
            try:
                heard = is_about_block_device(self._socket.recv(_LARGEST_BYTES)) or heard
            except BlockingIOError:
                return heard
            except OSError:  # more came than the kernel keeps
                heard = True


def is_about_block_device(message: bytes) -> bool:
    """Whether an event of the kernel or of udev is about a disk or a part of one."""
    return _BLOCK in message + b"\0"
