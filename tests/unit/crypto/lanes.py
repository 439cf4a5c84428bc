"""A stand-in for libcrypto_mb that reads and writes memory exactly as the library does, on any CPU.

It answers as the library is known to: no curve check, r compared with e + 0 at infinity, and the caller's nonce used
whatever it is. The work in each lane is done by libcrypto.
"""

import ctypes
from dataclasses import dataclass, field

from chain_core.crypto.ippcrypto import SM2_LANES, SM3_LANES
from chain_core.crypto.libcrypto import libcrypto, multiply_generator
from chain_core.crypto.openssl import OpenSslProvider
from chain_core.crypto.sm2_domain import ZA_PREFIX, N, is_on_curve, sums_to_order
from tests.unit.crypto.support import be

_SIGNATURE_ERROR = 8


def addresses(array: int, lanes: int) -> list[int]:
    return list((ctypes.c_uint64 * lanes).from_address(array))


def _texts(pointers: int, sizes: int, lanes: int) -> list[bytes]:
    lengths = list((ctypes.c_int32 * lanes).from_address(sizes))
    return [
        ctypes.string_at(pointer, length) for pointer, length in zip(addresses(pointers, lanes), lengths, strict=True)
    ]


def _texts_of_one_size(pointers: int, sizes: int) -> list[bytes]:
    texts = _texts(pointers, sizes, SM2_LANES)
    assert len({len(text) for text in texts}) == 1, "the library reads through NULL when lanes differ by two blocks"
    return texts


def _words(pointers: int) -> list[bytes]:
    """The 32 bytes behind each of 8 pointers."""
    return [ctypes.string_at(pointer, 32) for pointer in addresses(pointers, SM2_LANES)]


@dataclass
class LaneLibrary:
    """Has the four calls of ``IppCrypto``; ``broken_lane`` fails in every signing call."""

    broken_lane: int | None = None
    calls: list[str] = field(default_factory=list)
    nonces: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    openssl: OpenSslProvider = field(default_factory=OpenSslProvider)

    def sm3_digest(self, messages: int, sizes: int, digests: int) -> int:
        self.calls.append("sm3")
        outputs = addresses(digests, SM3_LANES)
        assert len(set(outputs)) == SM3_LANES, "two lanes write to one place"
        for message, output in zip(_texts(messages, sizes, SM3_LANES), outputs, strict=True):
            ctypes.memmove(output, self.openssl.sm3(message), 32)
        return 0

    def sm2_verify(self, r: int, s: int, ids: int, id_sizes: int, messages: int, sizes: int, x: int, y: int, z: None, buffer: None) -> int:  # fmt: skip  # noqa: E501
        self.calls.append("verify")
        assert _texts(ids, id_sizes, SM2_LANES) == [b"1234567812345678"] * SM2_LANES
        texts = _texts_of_one_size(messages, sizes)
        status = 0
        for lane, (lane_r, lane_s, lane_x, lane_y) in enumerate(
            zip(_words(r), _words(s), _words(x), _words(y), strict=True)
        ):
            public_key = lane_x[::-1] + lane_y[::-1]
            if not self._accepts(public_key, texts[lane], lane_r + lane_s):
                status |= _SIGNATURE_ERROR << 4 * lane
        return status

    def _accepts(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        assert is_on_curve(public_key), "the library would not notice"
        assert not sums_to_order(signature), "left to the library's own check"
        e = int.from_bytes(self.openssl.sm3(self.openssl.sm3(ZA_PREFIX + public_key) + message), "big") % N
        # The sum is infinity for some s; which one, only the key's owner knows, so here: for every s.
        return signature[:32] == be(e) or self.openssl.sm2_verify(public_key, message, signature)

    def sm2_sign(self, r: int, s: int, ids: int, id_sizes: int, messages: int, sizes: int, nonces: int, keys: int, x: int, y: int, z: None, buffer: None) -> int:  # fmt: skip  # noqa: E501
        self.calls.append("sign")
        assert _texts(ids, id_sizes, SM2_LANES) == [b"1234567812345678"] * SM2_LANES
        texts = _texts_of_one_size(messages, sizes)
        outputs = zip(addresses(r, SM2_LANES), addresses(s, SM2_LANES), strict=True)
        points = zip(_words(x), _words(y), strict=True)
        scalars = zip(_words(nonces), _words(keys), strict=True)
        for text, (to_r, to_s), (lane_x, lane_y), (nonce, key) in zip(texts, outputs, points, scalars, strict=True):
            k, d = int.from_bytes(nonce, "little"), int.from_bytes(key, "little")
            za = self.openssl.sm3(ZA_PREFIX + lane_x[::-1] + lane_y[::-1])
            point = multiply_generator(libcrypto(), be(k))
            assert point is not None
            e = int.from_bytes(self.openssl.sm3(za + text), "big")
            lane_r = (e + int.from_bytes(point[1:33], "big")) % N
            ctypes.memmove(to_r, be(lane_r), 32)
            ctypes.memmove(to_s, be((k - lane_r * d) * pow(1 + d, -1, N) % N), 32)
            self.nonces.append(k)
            self.outputs.append(lane_r)
        return 0 if self.broken_lane is None else _SIGNATURE_ERROR << 4 * self.broken_lane
