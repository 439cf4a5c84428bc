"""ctypes binding of the system's libcrypto >= 3: the few EVP calls that SM2 and SM3 need.

The GIL is released during the dear calls only, so verifications in worker threads run in parallel: who gives it up for
a call of a microsecond may wait milliseconds to get it back from a thread that computes. Every object made here is
freed by the Python object that owns it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from chain_core.crypto.errors import CryptoUnavailable

_VOID, _SIZE, _INT, _CHARS = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p
_OSSL_PARAM_UNSIGNED_INTEGER, _OSSL_PARAM_UTF8_STRING, _OSSL_PARAM_OCTET_STRING = 2, 4, 5
_EVP_PKEY_PUBLIC_KEY, _EVP_PKEY_KEYPAIR = 0x86, 0x87
_NID_SM2 = 1172
_POINT_UNCOMPRESSED = 4
_MAX_DER_SIGNATURE = 72
_CANDIDATES = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto-3-x64.dll")
_INSTALL = "install OpenSSL 3 (apt-get install libssl3), or choose another provider with DUALCHAIN_CRYPTO"


class OsslParam(ctypes.Structure):
    """OSSL_PARAM of openssl/core.h."""

    _fields_ = (
        ("key", _CHARS),
        ("data_type", ctypes.c_uint),
        ("data", _VOID),
        ("data_size", _SIZE),
        ("return_size", _SIZE),
    )


class LibCrypto:
    """The loaded library with typed entry points; made once by ``libcrypto()``."""

    def __init__(self, candidate: str) -> None:
        """OSError when there is none of this name, AttributeError when it lacks a call."""
        holding, releasing = ctypes.PyDLL(candidate), ctypes.CDLL(candidate)  # the GIL, during a call

        def bind(name: str, result: Any, *arguments: Any, dear: bool = False) -> Any:
            function = getattr(releasing if dear else holding, name)
            function.restype, function.argtypes = result, arguments
            return function

        self.version = bind("OpenSSL_version_num", ctypes.c_ulong)
        self.clear_errors = bind("ERR_clear_error", None)
        self.context_from_name = bind("EVP_PKEY_CTX_new_from_name", _VOID, _VOID, _CHARS, _CHARS)
        self.context_from_key = bind("EVP_PKEY_CTX_new_from_pkey", _VOID, _VOID, _VOID, _CHARS)
        self.context_free = bind("EVP_PKEY_CTX_free", None, _VOID)
        self.from_data_init = bind("EVP_PKEY_fromdata_init", _INT, _VOID)
        self.from_data = bind("EVP_PKEY_fromdata", _INT, _VOID, _VOID, _INT, _VOID)
        self.key_free = bind("EVP_PKEY_free", None, _VOID)
        self.verify_init = bind("EVP_PKEY_verify_init", _INT, _VOID)
        self.verify = bind("EVP_PKEY_verify", _INT, _VOID, _CHARS, _SIZE, _CHARS, _SIZE, dear=True)
        self.sign_init = bind("EVP_PKEY_sign_init", _INT, _VOID)
        self.sign = bind("EVP_PKEY_sign", _INT, _VOID, _VOID, _VOID, _CHARS, _SIZE, dear=True)
        self.encrypt_init = bind("EVP_PKEY_encrypt_init", _INT, _VOID)
        self.encrypt = bind("EVP_PKEY_encrypt", _INT, _VOID, _VOID, _VOID, _CHARS, _SIZE, dear=True)
        self.decrypt_init = bind("EVP_PKEY_decrypt_init", _INT, _VOID)
        self.decrypt = bind("EVP_PKEY_decrypt", _INT, _VOID, _VOID, _VOID, _CHARS, _SIZE, dear=True)
        self.group_by_name = bind("EC_GROUP_new_by_curve_name", _VOID, _INT)
        self.point_new = bind("EC_POINT_new", _VOID, _VOID)
        self.point_free = bind("EC_POINT_free", None, _VOID)
        self.point_clear_free = bind("EC_POINT_clear_free", None, _VOID)
        self.point_multiply = bind("EC_POINT_mul", _INT, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID)
        self.point_multiply_dear = bind("EC_POINT_mul", _INT, _VOID, _VOID, _VOID, _VOID, _VOID, _VOID, dear=True)
        self.point_to_bytes = bind("EC_POINT_point2oct", _SIZE, _VOID, _VOID, _INT, _VOID, _SIZE, _VOID)
        self.point_from_bytes = bind("EC_POINT_oct2point", _INT, _VOID, _VOID, _CHARS, _SIZE, _VOID)
        self.point_on_curve = bind("EC_POINT_is_on_curve", _INT, _VOID, _VOID, _VOID)
        self.point_at_infinity = bind("EC_POINT_is_at_infinity", _INT, _VOID, _VOID)
        self.number_set_flags = bind("BN_set_flags", None, _VOID, _INT)
        self.number_from_bytes = bind("BN_bin2bn", _VOID, _CHARS, _INT, _VOID)
        self.number_clear_free = bind("BN_clear_free", None, _VOID)
        self.sm3_method = bind("EVP_sm3", _VOID)
        self.digest = bind("EVP_Digest", _INT, _CHARS, _SIZE, _VOID, _VOID, _VOID, _VOID)


@cache
def libcrypto() -> LibCrypto:
    """The system's libcrypto. Raises CryptoUnavailable when it is missing, older than 3, or lacks a call."""
    found = ctypes.util.find_library("crypto")
    for candidate in (*_CANDIDATES, *([found] if found else [])):
        try:
            loaded = LibCrypto(candidate)
        except OSError:
            continue
        except AttributeError as error:
            what = f"{candidate} is not OpenSSL 3 with SM2 and SM3 ({error})"
            raise CryptoUnavailable(what, where="openssl", next_step=_INSTALL) from error
        break
    else:
        raise CryptoUnavailable("libcrypto 3 was not found", where="openssl", next_step=_INSTALL)
    if loaded.version() < 0x30000000:
        raise CryptoUnavailable(f"{candidate} is older than OpenSSL 3", where="openssl", next_step=_INSTALL)
    return loaded


class Sm2Key:
    """Owner of one EVP_PKEY; usable from several threads, freed with the last reference."""

    __slots__ = ("_handle", "_library")

    def __init__(self, library: LibCrypto, handle: int) -> None:
        self._library = library
        self._handle = handle

    def __del__(self) -> None:
        self._library.key_free(self._handle)

    def verify_digest(self, digest: bytes, der_signature: bytes) -> bool:
        """SM2 verification of e = ``digest`` (already SM3(Z_A || M))."""
        library = self._library
        context = library.context_from_key(None, self._handle, None)
        try:
            if not context or library.verify_init(context) != 1:
                return False
            if library.verify(context, der_signature, len(der_signature), digest, len(digest)) == 1:
                return True
            # The error queue is the thread's; left full it would only mislead a later reader.
            library.clear_errors()
            return False
        finally:
            library.context_free(context)

    def sign_digest(self, digest: bytes) -> bytes | None:
        """DER signature over e = ``digest`` with the library's own nonce; None when the library refuses."""
        library = self._library
        buffer = ctypes.create_string_buffer(_MAX_DER_SIGNATURE)
        size = ctypes.c_size_t(_MAX_DER_SIGNATURE)
        context = library.context_from_key(None, self._handle, None)
        try:
            if not context or library.sign_init(context) != 1:
                return None
            if library.sign(context, buffer, ctypes.byref(size), digest, len(digest)) != 1:
                library.clear_errors()
                return None
            return buffer.raw[: size.value]
        finally:
            library.context_free(context)

    def encrypt(self, message: bytes, room: int) -> bytes | None:
        """SM2 encryption with the library's own nonce: DER of at most ``room`` bytes; None when it refuses."""
        return self._cipher(self._library.encrypt_init, self._library.encrypt, message, room)

    def decrypt(self, ciphertext: bytes) -> bytes | None:
        """The message of an SM2 ciphertext in DER; None when the library refuses it."""
        return self._cipher(self._library.decrypt_init, self._library.decrypt, ciphertext, len(ciphertext))

    def _cipher(self, begin: Callable[..., int], work: Callable[..., int], data: bytes, room: int) -> bytes | None:
        library = self._library
        buffer = ctypes.create_string_buffer(room)
        size = ctypes.c_size_t(room)
        context = library.context_from_key(None, self._handle, None)
        try:
            if not context or begin(context) != 1:
                return None
            if work(context, buffer, ctypes.byref(size), data, len(data)) != 1:
                library.clear_errors()
                return None
            return buffer.raw[: size.value]
        finally:
            ctypes.memset(buffer, 0, room)
            library.context_free(context)


def sm2_public(library: LibCrypto, public_key: bytes) -> Sm2Key | None:
    """The key for 64 bytes x || y; None when the library refuses the point (off the curve, x or y >= p)."""
    point = ctypes.create_string_buffer(b"\x04" + public_key, 65)
    return _from_data(library, _EVP_PKEY_PUBLIC_KEY, _parameter(b"pub", _OSSL_PARAM_OCTET_STRING, point, 65))


def sm2_private(library: LibCrypto, private_key: bytes, public_key: bytes) -> Sm2Key | None:
    """The key pair of a 32-byte scalar in range and its 64-byte point; None when the library refuses it."""
    point = ctypes.create_string_buffer(b"\x04" + public_key, 65)
    # OSSL_PARAM integers are in the machine's byte order.
    scalar = ctypes.create_string_buffer(private_key[::-1] if sys.byteorder == "little" else private_key, 32)
    try:
        return _from_data(
            library,
            _EVP_PKEY_KEYPAIR,
            _parameter(b"pub", _OSSL_PARAM_OCTET_STRING, point, 65),
            _parameter(b"priv", _OSSL_PARAM_UNSIGNED_INTEGER, scalar, 32),
        )
    finally:
        ctypes.memset(scalar, 0, 32)


def multiply_generator(library: LibCrypto, private_key: bytes) -> bytes | None:
    """0x04 || x || y of [d]G, by libcrypto's constant-time ladder; None when out of memory.

    The EVP decoders would find the same point at twice the cost.
    """
    group = sm2_group(library)
    point = library.point_new(group)
    scalar = library.number_from_bytes(private_key, len(private_key), None)
    output = ctypes.create_string_buffer(65)
    try:
        if not point or not scalar or library.point_multiply(group, point, scalar, None, None, None) != 1:
            library.clear_errors()
            return None
        size = library.point_to_bytes(group, point, _POINT_UNCOMPRESSED, output, 65, None)
        return output.raw if size == 65 else None
    finally:
        library.number_clear_free(scalar)
        library.point_free(point)


@cache
def sm2_group(library: LibCrypto) -> int:
    """The curve, one a process; read-only afterwards."""
    group = library.group_by_name(_NID_SM2)
    if not group:
        raise CryptoUnavailable("libcrypto was built without SM2", where="openssl", next_step=_INSTALL)
    return int(group)


def _parameter(key: bytes, data_type: int, buffer: ctypes.Array[ctypes.c_char], size: int) -> OsslParam:
    return OsslParam(key, data_type, ctypes.addressof(buffer), size, 0)


def _from_data(library: LibCrypto, selection: int, *parameters: OsslParam) -> Sm2Key | None:
    group = ctypes.create_string_buffer(b"SM2")
    listed = (OsslParam * 4)(_parameter(b"group", _OSSL_PARAM_UTF8_STRING, group, 3), *parameters)
    handle = ctypes.c_void_p()
    context = library.context_from_name(None, b"SM2", None)
    try:
        made = (
            bool(context)
            and library.from_data_init(context) == 1
            and library.from_data(context, ctypes.byref(handle), selection, listed) == 1
        )
    finally:
        library.context_free(context)
    if not made or not handle.value:
        library.clear_errors()
        return None
    return Sm2Key(library, handle.value)
