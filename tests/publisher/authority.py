"""Certificates of a test authority, made anew for each test that wants TLS."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificates(folder: Path) -> None:
    """Write ca.pem, server.pem/.key and two clients, each named by its mine."""
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name("test CA")
    (folder / "ca.pem").write_bytes(_certificate(ca_name, ca_name, ca_key, ca_key, ca=True))
    for file, common_name in (
        ("server", "127.0.0.1"),
        ("mine", "220181004688"),
        ("other", "220181009999"),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = _certificate(_name(common_name), ca_name, key, ca_key, ca=False)
        (folder / f"{file}.pem").write_bytes(pem)
        (folder / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> bytes:
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
