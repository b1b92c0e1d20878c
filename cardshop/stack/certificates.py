"""A private certificate authority, and a certificate for each server of the stack.

Keys are EC P-256, PEM, readable by their owner only. A server's certificate is good for ``localhost`` and
``127.0.0.1`` and for the names that are asked for, and is made anew when it is near its end.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cardshop.private_files import write_private

AUTHORITY_LIFE = dt.timedelta(days=3650)
SERVER_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
BACKDATED = dt.timedelta(hours=1)
"""Certificates begin a little in the past: clocks of two machines differ."""

HOST_NAME = "localhost"
HOST_ADDRESS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def utc_now() -> dt.datetime:
    """The time now, with its zone."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class ServerCertificate:
    """Files of one server: certificate, key, and both in one file (for servers that want that)."""

    certificate: Path
    key: Path
    combined: Path


class Authority:
    """The certificate authority that lives in ``folder``; made there when missing or near its end."""

    def __init__(self, folder: Path, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._folder = folder
        self._clock = clock
        self.certificate_file = folder / "ca.pem"
        self._key_file = folder / "ca.key"
        if self._near_end(self.certificate_file):
            self._found()
        self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._key_file} is not an EC key")
        self._key = key

    def server(self, name: str, hosts: Sequence[str] = ()) -> ServerCertificate:
        """The certificate of the server ``name``, which is reached on loopback and as ``hosts``.

        Made when there is none, it is near its end, not ours or not for these host names.
        """
        files = ServerCertificate(
            self._folder / f"{name}.pem", self._folder / f"{name}.key", self._folder / f"{name}.combined.pem"
        )
        names = x509.SubjectAlternativeName([*(_host(host) for host in (HOST_NAME, *hosts)), HOST_ADDRESS])
        if self._near_end(files.certificate) or not self._signed(files.certificate, names):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = (
                self._draft(_name(f"Cardshop {name}"), key, SERVER_LIFE)
                .issuer_name(self._certificate.subject)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(names, critical=False)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(_authority_id(self._key), critical=False)
                .sign(self._key, hashes.SHA256())
            )
            write_private(files.key, _key_pem(key))
            write_private(files.combined, _key_pem(key) + _pem(certificate))
            write_private(files.certificate, _pem(certificate))
        return files

    def _found(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Cardshop local authority")
        certificate = (
            self._draft(name, key, AUTHORITY_LIFE)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_signing_only(), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(self._key_file, _key_pem(key))
        write_private(self.certificate_file, _pem(certificate))

    def _draft(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, life: dt.timedelta
    ) -> x509.CertificateBuilder:
        now = self._clock()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _near_end(self, path: Path) -> bool:
        if not path.exists():
            return True
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.not_valid_after_utc - self._clock() < RENEW_BEFORE

    def _signed(self, path: Path, names: x509.SubjectAlternativeName) -> bool:
        extensions = x509.load_pem_x509_certificate(path.read_bytes()).extensions
        identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        known = extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return identifier.value == _authority_id(self._key) and known.value == names


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _authority_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
