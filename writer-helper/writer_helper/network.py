"""The way from this host to scheduler, broker and warehouse: names, TLS, clock, logins, each with a verdict.

What can't be looked at because an earlier step failed is left out: the first bad verdict of a part is the
one to see to.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import amqp
import requests

from cardshop import tls
from cardshop.contract import names
from cardshop.contract.errors import CardshopError, NotAuthenticated
from cardshop.scheduler_client import SchedulerClient
from cardshop.settings import Address
from cardshop.transfer.session import Session
from cardshop.writer_host import ConfiguredSlot, WriterHost
from writer_helper.verdicts import Mark, Verdict, bad, good, warning

TIMEOUT_SECONDS = 8.0
CLOCK_MAY_DIFFER_SECONDS = 30.0
"""Tokens name the moments of their beginning and end; a clock that is further off breaks them."""

CERTIFICATE_WARNING_DAYS = 14
DAY_SECONDS = 86400.0
DEFAULT_HTTPS_PORT = 443
DEFAULT_HTTP_PORT = 80

_CERTIFICATE_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_CERTIFICATE_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_HOST_NAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_ADDRESS_MISMATCH = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH


def examine(host: WriterHost, wall_clock: Callable[[], float] = time.time) -> Iterator[Verdict]:
    """Looks at everything, one verdict after the other. Takes up to a minute when nothing answers."""
    try:
        context = tls.client_context(host.ca_file)
    except (OSError, ssl.SSLError) as error:
        yield bad(
            "authority",
            f"The certificate {host.ca_file} can't be read ({error}).",
            "The manager has it: Workers, Enrol a host. Its path is scheduler.ca_file in the configuration.",
        )
        return
    accounts = [slot for slot in host.slots if slot.username]
    yield from _scheduler(host, context, accounts, wall_clock)
    yield from _broker(host, context, accounts)
    yield from _warehouse(host, context, accounts)
    if not accounts:
        yield warning(
            "accounts", "No writer has an account yet, so no login was tried.", "Run: writer-helper enrol"
        )


def _scheduler(
    host: WriterHost, context: ssl.SSLContext, accounts: list[ConfiguredSlot], wall_clock: Callable[[], float]
) -> Iterator[Verdict]:
    if host.proxy:
        proxy = _address_of(host.proxy)
        connection = yield from _reached("proxy", proxy)
        if connection is None:
            return
        connection.close()
    else:
        address = _address_of(host.scheduler_url)
        connection = yield from _reached("scheduler", address)
        if connection is None or not (yield from _trusted("scheduler", address, connection, context)):
            return
    try:
        answer = requests.get(
            f"{host.scheduler_url}/v1/health",
            verify=str(host.ca_file),
            proxies={"https": host.proxy} if host.proxy else None,
            timeout=TIMEOUT_SECONDS,
        )
    except requests.RequestException as error:
        what = "through the proxy " if host.proxy else ""
        yield bad(
            "scheduler: API",
            f"It does not answer {what}({type(error).__name__}).",
            "Is it Cardshop's scheduler that listens there? Does the proxy let CONNECT through?",
        )
        return
    yield _clock(answer.headers.get("Date", ""), wall_clock())
    for slot in accounts:
        client = SchedulerClient(
            host.scheduler_url, host.ca_file, slot.username, slot.password, proxy=host.proxy
        )
        try:
            role = client.get("/v1/me")["role"]
        except CardshopError as error:
            yield _refused(f"scheduler: login of {slot.username}", error)
        else:
            yield _role(slot.username, str(role))


def _broker(host: WriterHost, context: ssl.SSLContext, accounts: list[ConfiguredSlot]) -> Iterator[Verdict]:
    connection = yield from _reached("broker", host.broker)
    if connection is None or not (yield from _trusted("broker", host.broker, connection, context)):
        return
    for slot in accounts:
        yield _broker_login(host, slot)


def _broker_login(host: WriterHost, slot: ConfiguredSlot) -> Verdict:
    subject = f"broker: login of {slot.username}"
    connection = amqp.Connection(
        host=str(host.broker),
        userid=slot.username,
        password=slot.password,
        virtual_host=names.VHOST,
        ssl={
            "ca_certs": str(host.ca_file),
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": host.broker.host,
        },
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
    )
    try:
        connection.connect()
        connection.close()
    except amqp.exceptions.AccessRefused:
        return bad(
            subject,
            "RabbitMQ refuses the account.",
            "It asks the scheduler: is the login there good? Can the broker reach the scheduler?",
        )
    except (OSError, amqp.exceptions.AMQPError) as error:
        return bad(subject, f"It broke off ({error}).", "Is it Cardshop's RabbitMQ that listens there?")
    return good(subject, "The account may connect.")


def _warehouse(
    host: WriterHost, context: ssl.SSLContext, accounts: list[ConfiguredSlot]
) -> Iterator[Verdict]:
    if not accounts:
        return  # where the warehouse is, is told to workers only
    client = SchedulerClient(
        host.scheduler_url, host.ca_file, accounts[0].username, accounts[0].password, proxy=host.proxy
    )
    try:
        access = client.post("/v1/trial-tokens", {})
    except CardshopError as error:
        yield Verdict("warehouse", Mark.UNKNOWN, f"The scheduler doesn't tell where it is: {error.sentence}")
        return
    address = Address(str(access["host"]), int(access["port"]))
    connection = yield from _reached("warehouse", address)
    if connection is None:
        return
    connection.close()
    try:
        Session(address.host, address.port, context, str(access["token"]), TIMEOUT_SECONDS).close()
    except NotAuthenticated as error:
        yield bad("warehouse: TLS and login", error.sentence, error.hint)
    except CardshopError as error:
        hint = "Can the warehouse reach the scheduler? Does a firewall change FTP?"
        yield bad("warehouse: TLS and login", error.sentence, hint)
    else:
        yield good("warehouse: TLS and login", "The certificate is good, and a token is accepted.")


def _reached(part: str, address: Address) -> Generator[Verdict, None, socket.socket | None]:
    """The connection to a port, None when there is none; verdicts on its name and on the port."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield bad(
            f"{part}: name",
            f"{address.host} can't be resolved ({error}).",
            "Is the name spelled right? Is this host's DNS set up (resolvectl status)?",
        )
        return None
    addresses = sorted({str(entry[4][0]) for entry in found})
    yield good(f"{part}: name", f"{address.host} is {', '.join(addresses)}.")
    began = time.monotonic()
    try:
        connection = socket.create_connection((address.host, address.port), TIMEOUT_SECONDS)
    except TimeoutError:
        yield bad(
            f"{part}: port",
            f"Nothing answers at {address} within {TIMEOUT_SECONDS:.0f} s.",
            "A firewall swallows it, or the computer is off.",
        )
        return None
    except OSError as error:
        yield bad(
            f"{part}: port", f"{address} can't be reached ({error}).", "Is the port right? Does it run?"
        )
        return None
    milliseconds = (time.monotonic() - began) * 1000
    yield good(f"{part}: port", f"{address} answers after {milliseconds:.0f} ms.")
    return connection


def _trusted(
    part: str, address: Address, connection: socket.socket, context: ssl.SSLContext
) -> Generator[Verdict, None, bool]:
    """Whether the one who answers is who it should be; ends the connection."""
    subject = f"{part}: TLS"
    try:
        with connection, context.wrap_socket(connection, server_hostname=address.host) as channel:
            yield _certificate(subject, channel)
            return True
    except ssl.SSLCertVerificationError as error:
        yield bad(
            subject, f"Its certificate is not accepted: {error.verify_message}.", _why(error.verify_code)
        )
    except OSError as error:
        yield bad(
            subject,
            f"No TLS with {address} ({error}).",
            "Is it the TLS port? Does something change TLS on the way?",
        )
    return False


def _certificate(subject: str, channel: ssl.SSLSocket) -> Verdict:
    certificate: Any = channel.getpeercert()
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY_SECONDS
    if days < CERTIFICATE_WARNING_DAYS:
        return warning(
            subject, f"Its certificate ends in {days:.0f} days.", "Tell the admin of this Cardshop."
        )
    return good(subject, f"{channel.version()}; its certificate is good for {days:.0f} days.")


def _why(code: int) -> str:
    if code in (_CERTIFICATE_EXPIRED, _CERTIFICATE_NOT_YET_VALID):
        return "Is this host's clock right? If so, tell the admin of this Cardshop."
    if code in (_HOST_NAME_MISMATCH, _ADDRESS_MISMATCH):
        return "Use the name that is in the certificate; the admin of this Cardshop knows it."
    return "Is scheduler.ca_file the certificate of this Cardshop? The manager has it: Workers, Enrol a host."


def _clock(date: str, now: float) -> Verdict:
    try:
        off = now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return Verdict("clock", Mark.UNKNOWN, "The scheduler doesn't tell its time.")
    if abs(off) > CLOCK_MAY_DIFFER_SECONDS:
        return bad(
            "clock",
            f"This host's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the scheduler's.",
            "Set it, and keep it right: timedatectl set-ntp true",
        )
    return good("clock", f"Within {max(abs(off), 1):.0f} s of the scheduler's.")


def _role(username: str, role: str) -> Verdict:
    subject = f"scheduler: login of {username}"
    if role != "writer":
        return bad(subject, f"The account is a {role}'s.", "A writer needs an account of its own.")
    return good(subject, "The account is a writer's.")


def _address_of(url: str) -> Address:
    parts = urlsplit(url)
    default = DEFAULT_HTTPS_PORT if parts.scheme == "https" else DEFAULT_HTTP_PORT
    return Address(parts.hostname or "", parts.port or default)


def _refused(subject: str, error: CardshopError) -> Verdict:
    hint = error.hint
    if isinstance(error, NotAuthenticated):
        hint = "The password was changed or the account locked. Enrol anew: writer-helper enrol --again"
    return bad(subject, error.sentence, hint)
