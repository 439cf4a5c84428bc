"""TLS of the ports that take ordinary HTTPS clients (docs/spec/node-interface.md §5)."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from chain_core.crypto.keys import load_key_info
from chain_core.crypto.passphrase import Unlock
from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.files import read_pem
from chain_core.crypto.x509.ordinary import parse_ordinary, read_ordinary_key
from chain_core.node.config import ConfigRefused


def tls_context(certificate: Path, key: Path, client_ca: Path | None, unlock: Unlock | None) -> ssl.SSLContext:
    """The port's TLS, 1.2 at least. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
    leaf = parse_ordinary(read_pem(certificate, pem.CERTIFICATE)[0])
    private = load_key_info(key, unlock, read_ordinary_key)
    if private.spki != leaf.spki:
        raise ConfigRefused(f"it is not {key.name}'s", where=str(certificate), next_step="put the leaf first")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The key may be encrypted on disk; OpenSSL reads what is in memory through a descriptor that no folder names.
    memory = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(memory, private.pem)
        context.load_cert_chain(certificate, f"/proc/self/fd/{memory}")
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # who shows none may have a token, and is told 401 if not
    except (OSError, ssl.SSLError) as error:
        raise ConfigRefused(
            f"no TLS with these files: {error}", where=str(certificate), next_step="name PEM files"
        ) from error
    finally:
        os.close(memory)
    return context
