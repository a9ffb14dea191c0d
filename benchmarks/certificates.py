"""A certificate for loopback, and two bundles that trust it."""

from __future__ import annotations

from pathlib import Path

import certifi
import trustme

#: "certifi" is what applications have: all the world's authorities, read with each new
#: TLS context. "tiny" is the one authority of this benchmark: nobody's production.
BUNDLES = ("certifi", "tiny")


def make(directory: Path) -> Path:
    """Write certificate and bundles; return the certificate's path."""
    authority = trustme.CA()
    own = authority.cert_pem.bytes()
    (directory / "tiny.pem").write_bytes(own)
    (directory / "certifi.pem").write_bytes(Path(certifi.where()).read_bytes() + own)
    certificate = directory / "server.pem"
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return certificate
