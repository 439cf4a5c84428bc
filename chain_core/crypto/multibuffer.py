"""Provider on Intel's multi-buffer library (PyPI `ipp-crypto`): SM2 in 8 lanes, SM3 in 16."""

from __future__ import annotations

from pathlib import Path

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.openssl import OpenSslProvider

_CPUINFO = Path("/proc/cpuinfo")


def check_cpu(cpuinfo: str) -> None:
    """Raises CryptoUnavailable unless the flags in ``cpuinfo`` name AVX-512 IFMA or AVX-IFMA."""
    flags: set[str] = set()
    for line in cpuinfo.splitlines():
        if line.startswith("flags"):
            flags = set(line.partition(":")[2].split())
            break
    if "avx512ifma" not in flags and "avx_ifma" not in flags:
        raise CryptoUnavailable(
            "the CPU has neither AVX-512 IFMA nor AVX-IFMA",
            where="multibuffer",
            next_step="use DUALCHAIN_CRYPTO=openssl on this machine",
        )


class MultiBufferProvider(OpenSslProvider):
    name = "multibuffer"

    def __init__(self) -> None:
        check_cpu(_CPUINFO.read_text() if _CPUINFO.exists() else "")
        super().__init__()
