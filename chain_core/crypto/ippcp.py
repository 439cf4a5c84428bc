"""ctypes binding of Intel's single-buffer library (`libippcp` of PyPI's `ipp-crypto` 2026.2): SM2 verification, and
signing for clients.

Its field arithmetic uses BMI2 and ADX, which every x86-64 server of the last ten years has, with a table for the base
point; it needs no other library. Objects are blocks of memory that the caller owns (ippcp.h, section GFpEC). A curve
object keeps its intermediate values inside, so each thread has one of its own; points are only read.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.wheel_files import installed_libraries

_VOID, _INT, _CHARS = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_BITS = 256
_WORDS = _BITS // 32
_LIBRARY = re.compile(r"libippcp\.so(\.\d+)*")
_VALID = 0  # ippECValid of enum IppECResult
_INSTALL = "pip install ipp-crypto==2026.2.0, or use DUALCHAIN_CRYPTO=openssl"

Buffer: TypeAlias = "ctypes.Array[ctypes.c_char]"
T = TypeVar("T")


def unavailable(what: str, next_step: str = _INSTALL) -> CryptoUnavailable:
    """The refusal to run, for this provider."""
    return CryptoUnavailable(what, where="ippcp", next_step=next_step)


class IppCp:
    """The loaded library with the calls that SM2 verification and signing need."""

    def __init__(self, file: str) -> None:
        """OSError when it does not load, AttributeError when it lacks a call."""
        holding, releasing = ctypes.PyDLL(file), ctypes.CDLL(file)  # the GIL, during a call

        def bind(name: str, result: Any, *arguments: Any, dear: bool = False) -> Any:
            function = getattr(releasing if dear else holding, name)
            function.restype, function.argtypes = result, arguments
            return function

        self.initialise = bind("ippcpInit", _INT)
        self.field_method = bind("ippsGFpMethod_p256sm2", _VOID)
        self.field_size = bind("ippsGFpGetSize", _INT, _INT, _VOID)
        self.field = bind("ippsGFpInitFixed", _INT, _INT, _VOID, _VOID)
        self.curve_size = bind("ippsGFpECGetSize", _INT, _VOID, _VOID)
        self.curve = bind("ippsGFpECInitStdSM2", _INT, _VOID, _VOID)
        self.curve_table = bind("ippsGFpECBindGxyTblStdSM2", _INT, _VOID)
        self.scratch_size = bind("ippsGFpECScratchBufferSize", _INT, _INT, _VOID, _VOID)
        self.point_size = bind("ippsGFpECPointGetSize", _INT, _VOID, _VOID)
        self.point = bind("ippsGFpECPointInit", _INT, _VOID, _VOID, _VOID, _VOID)
        self.point_set = bind("ippsGFpECSetPointRegular", _INT, _VOID, _VOID, _VOID, _VOID)
        self.number_size = bind("ippsBigNumGetSize", _INT, _INT, _VOID)
        self.number = bind("ippsBigNumInit", _INT, _INT, _VOID)
        self.number_set = bind("ippsSetOctString_BN", _INT, _CHARS, _INT, _VOID)
        self.number_get = bind("ippsGetOctString_BN", _INT, _VOID, _INT, _VOID)
        # digest, private key, nonce (which the library wipes), r, s, curve, scratch
        self.sign = bind("ippsGFpECSignSM2", _INT, *[_VOID] * 7, dear=True)
        # digest, public point, r, s, result, curve, scratch
        self.verify = bind("ippsGFpECVerifySM2", _INT, *[_VOID] * 7, dear=True)
        if self.initialise() < 0:  # a warning says that the CPU's features are not all used
            raise OSError("ippcpInit refuses this CPU")


class Sm2Curve:
    """The curve and room for one computation: for one thread."""

    def __init__(self, library: IppCp) -> None:
        """Raises CryptoUnavailable when the library refuses its own curve."""
        self._library = library
        method = library.field_method()
        self._field = self._sized(lambda size: library.field_size(_BITS, size))
        self._check(library.field(_BITS, method, self._field), "ippsGFpInitFixed")
        self._curve = self._sized(lambda size: library.curve_size(self._field, size))
        self._check(library.curve(self._field, self._curve), "ippsGFpECInitStdSM2")
        self._check(library.curve_table(self._curve), "ippsGFpECBindGxyTblStdSM2")
        self._scratch = self._sized(lambda size: library.scratch_size(2, self._curve, size))
        self._numbers = [self._number() for _ in range(3)]
        self._digest_at, self._r_at, self._s_at = map(ctypes.addressof, self._numbers)
        self._room = ctypes.addressof(self._curve), ctypes.addressof(self._scratch)

    def _number(self) -> Buffer:
        made = self._sized(lambda size: self._library.number_size(_WORDS, size))
        self._check(self._library.number(_WORDS, made), "ippsBigNumInit")
        return made

    def _sized(self, ask: Callable[[Any], int]) -> Buffer:
        size = _INT()
        self._check(ask(ctypes.byref(size)), "a size")
        return ctypes.create_string_buffer(size.value)

    def _check(self, status: int, call: str) -> None:
        if status != 0:
            raise unavailable(f"libippcp refuses {call} (status {status})", "use DUALCHAIN_CRYPTO=openssl")


class Sm2Signer(Sm2Curve):
    """Room for one signature."""

    def __init__(self, library: IppCp) -> None:
        """Raises CryptoUnavailable when the library refuses its own curve."""
        super().__init__(library)
        self._secrets = [self._number() for _ in range(2)]
        self._private_at, self._nonce_at = map(ctypes.addressof, self._secrets)
        self._out = ctypes.create_string_buffer(64)
        self._out_at = ctypes.addressof(self._out)

    def sign(self, private_key: bytes, nonce: bytes, digest: bytes) -> bytes | None:
        """r || s over e = ``digest`` < n, with a nonce in [1, n-1] that nobody else has; None when the library refuses.

        Nothing of key or nonce is left in this object.
        """
        library, setting = self._library, self._library.number_set
        status = setting(digest, 32, self._digest_at)
        status |= setting(private_key, 32, self._private_at) | setting(nonce, 32, self._nonce_at)
        if status == 0:
            numbers = self._digest_at, self._private_at, self._nonce_at, self._r_at, self._s_at
            status = library.sign(*numbers, *self._room)
        if status == 0:
            status = library.number_get(self._out_at, 32, self._r_at)
            status |= library.number_get(self._out_at + 32, 32, self._s_at)
        for wiped in (self._private_at, self._nonce_at, self._r_at, self._s_at):
            library.number(_WORDS, wiped)  # zeros in value and scratch of each, where parts of the key stood
        ctypes.memset(self._scratch, 0, len(self._scratch))
        return self._out.raw if status == 0 else None


class Sm2Verifier(Sm2Curve):
    """Room for one verification."""

    def __init__(self, library: IppCp) -> None:
        """Raises CryptoUnavailable when the library refuses its own curve."""
        super().__init__(library)
        self._result = _INT(_VALID)
        self._tail = (ctypes.addressof(self._result), *self._room)

    def point(self, public_key: bytes) -> Buffer:
        """64 bytes of a point on the curve (the caller has checked), as the library wants it; any thread may use it."""
        library = self._library
        made = self._sized(lambda size: library.point_size(self._curve, size))
        self._check(library.point(None, None, made, self._curve), "ippsGFpECPointInit")
        x, y, _ = self._numbers
        for number, word in ((x, public_key[:32]), (y, public_key[32:])):
            self._check(library.number_set(word, 32, number), "ippsSetOctString_BN")
        self._check(library.point_set(x, y, made, self._curve), "ippsGFpECSetPointRegular")
        return made

    def verify(self, point: Buffer, digest: bytes, signature: bytes) -> bool:
        """Whether r || s, each in [1, n-1], fits the point and e = ``digest`` < n."""
        setting = self._library.number_set
        status = setting(digest, 32, self._digest_at)
        status |= setting(signature[:32], 32, self._r_at)
        status |= setting(signature[32:], 32, self._s_at)
        if status == 0:
            status = self._library.verify(self._digest_at, ctypes.addressof(point), self._r_at, self._s_at, *self._tail)
        return status == 0 and self._result.value == _VALID

    def prepared(self, point: Buffer, digest: bytes, signature: bytes) -> Callable[[], bool]:
        """``verify`` of these, all laid out already: the library's own call and nothing else. For measurements."""
        numbers = [self._number() for _ in range(3)]
        for number, word in zip(numbers, (digest, signature[:32], signature[32:]), strict=True):
            self._check(self._library.number_set(word, 32, number), "ippsSetOctString_BN")
        e, r, s = map(ctypes.addressof, numbers)
        at_point, verify, result, tail = ctypes.addressof(point), self._library.verify, self._result, self._tail

        def run(_keep: object = (numbers, point)) -> bool:
            return verify(e, at_point, r, s, *tail) == 0 and result.value == _VALID

        return run


class PerThread(Generic[T]):
    """One for each thread that asks, made at its first question."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._local = make, threading.local()

    def mine(self) -> T:
        """This thread's own."""
        own: T | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = self._make()
        return own


def load() -> IppCp:
    """The library, ready to run. Raises CryptoUnavailable naming the package or file missing."""
    files = installed_libraries("ipp-crypto")
    if files is None:
        raise unavailable("the package ipp-crypto is not installed")
    library = next((path for name, path in sorted(files.items()) if _LIBRARY.fullmatch(name)), None)
    if library is None:
        raise unavailable("the package ipp-crypto holds no libippcp")
    try:
        return IppCp(str(library))
    except (OSError, AttributeError) as error:
        raise unavailable(f"libippcp does not load: {error}") from error
