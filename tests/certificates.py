"""Certificates for the tests, made by the openssl program."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(directory: Path, name: str, *, kind: str = "ec", passphrase: str = ""):
    """Write NAME.pem and NAME.key, a self-signed certificate for 127.0.0.1; return both."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    new_key = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}[kind]
    lock = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", *new_key, *lock),
            *("-keyout", str(key), "-out", str(certificate), "-days", "30"),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
