"""A CA and a certificate for localhost, created for one run and trusted only by its processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make(folder: Path) -> tuple[Path, Path]:
    """Write a CA certificate, and a certificate of `localhost` with its key; returns the two files in this order."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("friends-presence benchmark")
    ca = _builder(issuer, issuer, authority).add_extension(x509.BasicConstraints(True, 0), critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    mine = _builder(_name("localhost"), issuer, server).add_extension(names, critical=False)
    trusted, served = folder / "ca.pem", folder / "localhost.pem"
    trusted.write_bytes(_signed(ca, authority))
    served.touch(mode=0o600)
    served.write_bytes(_signed(mine, authority) + _private(server))
    return trusted, served


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    named = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    dated = named.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    return dated.public_key(key.public_key()).serial_number(x509.random_serial_number())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
