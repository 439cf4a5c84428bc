"""ctypes binding of Intel's multi-buffer library (`libcrypto_mb` of PyPI's `ipp-crypto` 2026.2).

Conventions of the library (crypto_mb/{ec_sm2,sm3,status,cpu_features}.h): 8 SM2 lanes or 16 SM3 lanes a call,
arrays of pointers, coordinates and private scalars as little-endian 32-byte words, r and s as big-endian
bytes, 4 status bits a lane with 0 for success.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.wheel_files import installed_libraries

SM2_LANES, SM3_LANES = 8, 16
_STATUS_BITS = 4
_VOID = ctypes.c_void_p

# enum MBX_ALGO of crypto_mb/cpu_features.h.
_ALGORITHM_SM2, _ALGORITHM_SM3 = 8, 9

# What libcrypto_mb needs, each after what it needs itself; opened by path, since wheels set no search path.
_RUNTIME = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")
_LIBRARY = re.compile(r"libcrypto_mb\.so(\.\d+)*")
_CPUINFO = Path("/proc/cpuinfo")
_INSTALL = "pip install ipp-crypto==2026.2.0 intel-cmplr-lib-rt==2026.2.0, or use DUALCHAIN_CRYPTO=openssl"
_OTHER = "use DUALCHAIN_CRYPTO=openssl on this machine"


def unavailable(what: str, next_step: str = _OTHER) -> CryptoUnavailable:
    """The refusal to run, for this provider."""
    return CryptoUnavailable(what, where="multibuffer", next_step=next_step)


class IppCrypto:
    """The loaded library; calls take raw addresses, the caller keeps the memory behind them alive."""

    def __init__(self, file: str) -> None:
        """OSError when it does not load, AttributeError when it lacks a call."""
        holding, releasing = ctypes.PyDLL(file), ctypes.CDLL(file)  # the GIL: not worth giving up for 16 short texts

        def bind(name: str, result: Any, *arguments: Any, dear: bool = False) -> Any:
            function = getattr(releasing if dear else holding, name)
            function.restype, function.argtypes = result, arguments
            return function

        self.algorithm_width = bind("mbx_get_algo_info", ctypes.c_uint64, ctypes.c_int)
        # messages, lengths, digests
        self.sm3_digest = bind("mbx_sm3_msg_digest_mb16", ctypes.c_uint64, _VOID, _VOID, _VOID)
        # r, s, user ids, id lengths, messages, message lengths, x, y, z (NULL: affine), buffer
        self.sm2_verify = bind("mbx_sm2_ecdsa_verify_mb8", ctypes.c_uint32, *[_VOID] * 10, dear=True)
        # r, s, user ids, id lengths, messages, message lengths, nonces, private keys, x, y, z, buffer
        self.sm2_sign = bind("mbx_sm2_ecdsa_sign_mb8", ctypes.c_uint32, *[_VOID] * 12, dear=True)

    def check_width(self) -> None:
        """Raises CryptoUnavailable unless the library runs SM2 and SM3 in lanes on this CPU."""
        if not self.algorithm_width(_ALGORITHM_SM2) or not self.algorithm_width(_ALGORITHM_SM3):
            raise unavailable("libcrypto_mb offers SM2 and SM3 only on CPUs with AVX-512 IFMA and VBMI2")


def lanes_ok(status: int, lanes: int) -> list[bool]:
    """One bool a lane from a status word."""
    return [not status >> (_STATUS_BITS * lane) & 0xF for lane in range(lanes)]


def check_cpu(cpuinfo: str) -> None:
    """Raises CryptoUnavailable unless ``cpuinfo`` (the file's text) names AVX-512 IFMA or AVX-IFMA."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    if flags is None or not {"avx512ifma", "avx_ifma"} & set(flags[1].split()):
        raise unavailable("the CPU has neither AVX-512 IFMA nor AVX-IFMA")


def load() -> IppCrypto:
    """The library, ready to run. Raises CryptoUnavailable naming the CPU feature, package or file missing."""
    check_cpu(_CPUINFO.read_text(encoding="utf-8") if _CPUINFO.exists() else "")
    runtime = _files("intel-cmplr-lib-rt")
    own = _files("ipp-crypto")
    library = next((path for name, path in sorted(own.items()) if _LIBRARY.fullmatch(name)), None)
    if library is None:
        raise unavailable("the package ipp-crypto holds no libcrypto_mb", _INSTALL)
    try:
        # Kept open by the process; libcrypto_mb then finds them by their names.
        for name in _RUNTIME:
            ctypes.CDLL(str(runtime.get(name, name)))
        loaded = IppCrypto(str(library))
    except (OSError, AttributeError) as error:
        raise unavailable(f"libcrypto_mb does not load: {error}", _INSTALL) from error
    loaded.check_width()
    return loaded


def _files(distribution: str) -> dict[str, Path]:
    """Shared objects of an installed distribution, by file name. Raises CryptoUnavailable."""
    found = installed_libraries(distribution)
    if found is None:
        raise unavailable(f"the package {distribution} is not installed", _INSTALL)
    return found
