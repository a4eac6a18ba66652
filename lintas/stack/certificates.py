"""Certificates of the servers of one stack: an authority of its own, made once, and what it signs."""

import datetime as dt
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3_650
SERVER_DAYS: Final = 397
_CLOCKS_APART: Final = dt.timedelta(hours=1)  # a machine whose clock is behind accepts a new certificate as well


@dataclass(frozen=True, slots=True)
class Signed:
    """A private key and its certificate, both PEM; the key never shows in a representation."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Whom it is of."""
        return f"Signed({x509.load_pem_x509_certificate(self.certificate).subject.rfc4514_string()})"


def authority(name: str, now: dt.datetime) -> Signed:
    """Make an authority that may sign servers, and nothing below them.

    Args:
        name: its common name.
        now: the beginning of its validity, which lasts ``AUTHORITY_DAYS``.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _dated(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def server(signer: Signed, name: str, organisation: str, hosts: Collection[str], now: dt.datetime) -> Signed:
    """Make a server's key and certificate, with which it may also introduce itself as a client.

    Args:
        signer: the authority.
        name: the server's common name.
        organisation: what Kafka tells nodes of the cluster from other servers by.
        hosts: names and addresses that clients reach it by; clients look at these, not at ``name``.
        now: the beginning of its validity, which lasts ``SERVER_DAYS``.

    Raises:
        ValueError: ``signer`` does not hold a key and a certificate in PEM.
    """
    issuer = x509.load_pem_x509_certificate(signer.certificate)
    signing = serialization.load_pem_private_key(signer.key, password=None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey), "authorities are made above"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, name),  # last, so that Java and RFC 4514 write it first
        ]
    )
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _dated(subject, issuer.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(uses, critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
        .sign(signing, hashes.SHA256())
    )
    return _pem(certificate, key)


def expires(certificate: bytes) -> dt.datetime:
    """When a certificate (PEM; the first, of several) ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _dated(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_APART)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Signed:
    return Signed(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
