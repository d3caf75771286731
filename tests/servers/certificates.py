"""Certificates for TLS on loopback: an authority, and a server's and a client's that it signed.

Made by the program `openssl`, in the test's own directory.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = soldout tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signed]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost
"""


@dataclass(frozen=True)
class Certificates:
    """Where they are. `mutual`: the server asks its clients for one too."""

    directory: Path
    mutual: bool = False

    @property
    def authority(self) -> Path:
        return self.directory / "authority.crt"

    def certificate(self, whose: str) -> Path:
        """Return the certificate of the `server` or the `client`."""
        return self.directory / f"{whose}.crt"

    def key(self, whose: str) -> Path:
        """Return the private key of the `server` or the `client`."""
        return self.directory / f"{whose}.key"

    @property
    def query(self) -> str:
        """What a client's URL says of them."""
        paths = {"ssl_ca_certs": self.authority}
        if self.mutual:
            paths |= {"ssl_certfile": self.certificate("client"), "ssl_keyfile": self.key("client")}
        return urlencode({name: str(path) for name, path in paths.items()}, safe="/")

    @property
    def config(self) -> list[str]:
        """What a server's configuration says of them."""
        return [
            f"tls-ca-cert-file {self.authority}",
            f"tls-cert-file {self.certificate('server')}",
            f"tls-key-file {self.key('server')}",
            f"tls-auth-clients {'yes' if self.mutual else 'optional'}",
            "tls-replication yes",
        ]


def make_certificates(directory: Path, *, mutual: bool = False) -> Certificates:
    """Make an authority and what it signs, in `directory`. They are good for a day."""
    made = Certificates(directory, mutual)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "openssl.cnf").write_text(_CONFIG)
    _request(made, "authority", "authority")
    for whose in ("server", "client"):
        signer = ("-CA", made.authority, "-CAkey", directory / "authority.key")
        _request(made, whose, "signed", *signer)
    return made


def _request(made: Certificates, whose: str, extensions: str, *signer: str | Path) -> None:
    fast = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", made.key(whose), "-out", made.certificate(whose))
    name = ("-subj", f"/CN=soldout tests {whose}", "-days", "1")
    config = ("-config", made.directory / "openssl.cnf", "-extensions", extensions)
    command = ["openssl", "req", "-x509", *fast, *files, *name, *config, *signer]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
