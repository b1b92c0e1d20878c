"""Which hosts contents may be fetched from: a catalogue's or recipe's URL must not reach into our network.

The check is made on the address that is connected to, so a name that resolves differently the second time
gains nothing, and it is made again for each redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from cardshop.contract.errors import MirrorRefused

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, of old


def session(private_hosts: frozenset[str]) -> requests.Session:
    """An HTTP session that connects to public addresses only, and to ``private_hosts`` (names or addresses).

    Its requests raise MirrorRefused for any other. Proxies of the environment are not used.
    """
    made = requests.Session()
    made.trust_env = False
    made.headers["Accept-Encoding"] = "identity"
    adapter = _GuardedAdapter(private_hosts)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


def check(host: str, address: str, private_hosts: frozenset[str]) -> None:
    """Raises MirrorRefused unless ``address`` of ``host`` is public or allowed."""
    if host in private_hosts or address in private_hosts:
        return
    if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
        raise MirrorRefused(
            f"{host} is a private address; contents are fetched from public ones only.",
            hint="An admin can allow it in CARDSHOP_PRIVATE_MIRRORS.",
        )


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one computer's on the internet; what leads on to an IPv4 address is as public as that."""
    if isinstance(address, ipaddress.IPv6Address):
        # Before anything else is asked: Python 3.11.2 calls 6to4 private, 3.11.7 public.
        if address in _NAT64 or address in _IPV4_COMPATIBLE:
            return _is_public(ipaddress.IPv4Address(address.packed[-4:]))
        if address.sixtofour is not None:
            return _is_public(address.sixtofour)
        if address.is_site_local or address in _LOCAL_NAT64:
            return False
    return address.is_global and not address.is_multicast


def _connect(host: str, port: int, timeout: Any, private_hosts: frozenset[str]) -> socket.socket:
    problem: OSError = OSError(f"{host} has no address")
    limit = timeout if isinstance(timeout, int | float) else None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise OSError(f"{host} is no name of a host") from None
    for family, kind, protocol, _, target in found:
        check(host, str(target[0]), private_hosts)
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(limit)
            opened.connect(target)
        except OSError as error:
            opened.close()
            problem = error
        else:
            return opened
    raise problem


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._private_hosts = private_hosts
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes the pools, with connections that look where they go."""
        super().init_poolmanager(*args, **kwargs)
        allowed = self._private_hosts

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self.host, self.port, self.timeout, allowed)

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self.host, self.port, self.timeout, allowed)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
