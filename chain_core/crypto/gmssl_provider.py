"""Provider on pure-Python gmssl: runs everywhere, slow; the reference the others are checked against.

gmssl checks neither ranges nor points and would draw nonces from ``random``; all of that is done here.
"""

from __future__ import annotations

from collections.abc import Sequence

from gmssl import sm2 as gmssl_sm2
from gmssl import sm3 as gmssl_sm3

from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.sm2_domain import (
    GX,
    GY,
    ZA_PREFIX,
    N,
    check_private_key,
    is_on_curve,
    random_scalar,
    signature_in_range,
)
from chain_core.crypto.sm4_gcm import Sm4GcmMixin

_GENERATOR = f"{GX:064x}{GY:064x}"


class _PointAtInfinity(ArithmeticError):
    """A sum of points has no affine form."""


class _Sm2(gmssl_sm2.CryptSM2):  # type: ignore[misc]  # gmssl has no types
    """gmssl's curve arithmetic with two repairs."""

    def __init__(self, public_key: bytes) -> None:
        super().__init__(private_key="", public_key="")
        # Not through the constructor: it strips every leading 0 and 4 of a key that begins with "04".
        self.public_key = public_key.hex()

    def _convert_jacb_to_nor(self, Point: str) -> str:  # noqa: N803 - gmssl's name
        affine = super()._convert_jacb_to_nor(Point)
        if affine is None:
            raise _PointAtInfinity
        return str(affine)


class GmSslProvider(Sm4GcmMixin):
    """SM2 and SM3 of gmssl 3.2, some hundred signatures a second; never for validators' keys."""

    name = "gmssl"

    def sm3(self, data: bytes) -> bytes:
        return bytes.fromhex(gmssl_sm3.sm3_hash(list(data)))

    def sm3_many(self, messages: Sequence[bytes]) -> list[bytes]:
        return [self.sm3(message) for message in messages]

    def sm3_records(self, data: bytes, record_size: int) -> bytes:
        if record_size <= 0 or len(data) % record_size:
            raise ValueError(f"{len(data)} bytes are not whole records of {record_size}")
        return b"".join([self.sm3(data[i : i + record_size]) for i in range(0, len(data), record_size)])

    def sm2_public_key(self, private_key: bytes) -> bytes:
        check_private_key(private_key)
        return bytes.fromhex(_Sm2(b"")._kg(int.from_bytes(private_key, "big"), _GENERATOR))

    def sm2_sign(self, private_key: bytes, message: bytes) -> bytes:
        """For tests and as a reference: not constant-time."""
        public_key = self.sm2_public_key(private_key)
        signer = _Sm2(public_key)
        signer.private_key = private_key.hex()
        digest = self._digest(public_key, message)
        while True:
            # None: r = 0, s = 0 or r + k = n, to be drawn again (GB/T 32918.2 section 6.1, steps A5 and A6).
            signature = signer.sign(digest, random_scalar(N - 1).hex())
            if signature is not None:
                return bytes.fromhex(signature)

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if not signature_in_range(signature) or not is_on_curve(public_key):
            return False
        try:
            # 0 instead of a bool when r + s = n.
            return bool(_Sm2(public_key).verify(signature.hex(), self._digest(public_key, message)))
        except _PointAtInfinity:
            return False

    def sm2_verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        return [self.sm2_verify(*item) for item in items]

    def _digest(self, public_key: bytes, message: bytes) -> bytes:
        return self.sm3(self.sm3(ZA_PREFIX + public_key) + message)
